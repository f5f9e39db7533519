import assert from "node:assert/strict";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, describe, test } from "node:test";
import { GatewayError } from "../../runtime/errors.ts";
import { Egress, type EgressRequest } from "../../runtime/security/egress.ts";

const seen: { url: string; headers: http.IncomingHttpHeaders; method: string; body: string }[] = [];
const origin = http.createServer((request, response) => {
  let body = "";
  request.on("data", (piece: Buffer) => (body += piece.toString()));
  request.on("end", () => {
    seen.push({ url: request.url!, headers: request.headers, method: request.method!, body });
    const redirect = /^\/to\?(\d+)=(.*)$/.exec(request.url!);
    if (redirect) response.writeHead(Number(redirect[1]), { location: decodeURIComponent(redirect[2]!) }).end();
    else if (request.url === "/large") response.end("x".repeat(5000));
    else if (request.url === "/never") return;
    else response.setHeader("x-answer", "yes").end("hello");
  });
});
let base = "";
let other = "";
before(async () => {
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
  const { port } = origin.address() as AddressInfo;
  base = `http://127.0.0.1:${port}`;
  other = `http://localhost:${port}`;
});
after(() => {
  origin.closeAllConnections();
  origin.close();
});

function call(url: string, change: Partial<EgressRequest> = {}): EgressRequest {
  return { url, method: "GET", headers: [], body: null, redirect: "follow", idempotencyId: "call-1", ...change };
}
function egress(change: Partial<ConstructorParameters<typeof Egress>[0]> = {}): Egress {
  return new Egress({ allow: [], private: [base], own: [], maxBodyBytes: 1000, timeoutMs: 5000, ...change });
}
async function refusal(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => assert.fail("the call went out"),
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof GatewayError);
  assert.equal(error.code, "SERVICE_REFUSED");
  return error.detail;
}
const never = new AbortController().signal;

describe("a rule's outgoing call", () => {
  test("reaches an origin that config names, private ones included", async () => {
    const answer = await egress().fetch(call(`${base}/a?b=1`, { headers: [["x-a", "1"]] }), never);
    assert.equal(answer.status, 200);
    assert.equal(answer.body.toString(), "hello");
    assert.equal(answer.headers.find(([name]) => name === "x-answer")?.[1], "yes");
    assert.equal(seen.at(-1)!.headers["x-a"], "1");
  });
  test("is refused for an origin that config does not name, and says what is allowed", async () => {
    assert.match(
      await refusal(egress().fetch(call("https://example.com/"), never)),
      /https:\/\/example\.com is not named in config; allowed: http:\/\/127\.0\.0\.1/,
    );
  });
  test("is refused for another port and for another scheme of an allowed host", async () => {
    await refusal(egress().fetch(call("http://127.0.0.1:1/"), never));
    await refusal(egress().fetch(call(base.replace("http:", "https:")), never));
  });
  for (const address of [
    "127.0.0.1",
    "10.0.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "[::1]",
    "[::ffff:10.0.0.1]",
    "[fe80::1]",
    "[fd00::1]",
    "100.64.0.1",
    "0.0.0.0",
    "[64:ff9b::a00:1]",
    "2130706433",
    "0x7f.1",
  ]) {
    test(`is refused for ${address} when only allowed as a public origin`, async () => {
      assert.match(
        await refusal(egress({ allow: [`http://${address}`], private: [] }).fetch(call(`http://${address}/`), never)),
        /private address|gateway itself/,
      );
    });
  }
  test("is refused when a public name resolves to a private address, in the look-up that the connection uses", async () => {
    const rebinding = egress({
      allow: ["http://rebind.example"],
      private: [],
      lookup: (_name, _options, done) =>
        done(null, [
          { address: "93.184.216.34", family: 4 },
          { address: "127.0.0.1", family: 4 },
        ]),
    });
    assert.match(await refusal(rebinding.fetch(call("http://rebind.example/"), never)), /stands on the private address 127\.0\.0\.1/);
  });
  test("is refused towards the gateway's own listeners, also through a wildcard bind", async () => {
    const port = Number(new URL(base).port);
    assert.match(await refusal(egress({ own: [{ host: "0.0.0.0", port }] }).fetch(call(`${base}/`), never)), /this gateway itself/);
  });
  test("is refused with user name and password in the URL", async () => {
    assert.match(await refusal(egress().fetch(call(base.replace("//", "//user:secret@")), never)), /user name or password/);
  });
  test("follows redirects, and checks each of them anew", async () => {
    const answer = await egress().fetch(call(`${base}/to?302=${encodeURIComponent("/landed")}`), never);
    assert.equal(answer.redirected, true);
    assert.equal(answer.url, `${base}/landed`);
    assert.match(await refusal(egress().fetch(call(`${base}/to?302=${encodeURIComponent("http://169.254.169.254/latest")}`), never)), /not named in config/);
  });
  test("loses its credentials when a redirect leaves the origin, and keeps them when it does not", async () => {
    const both = egress({ private: [base, other] });
    const headers: [string, string][] = [
      ["Authorization", "Bearer t"],
      ["Cookie", "a=1"],
      ["x-kept", "1"],
    ];
    await both.fetch(call(`${base}/to?302=${encodeURIComponent(`${other}/x`)}`, { headers }), never);
    assert.deepEqual([seen.at(-1)!.headers.authorization, seen.at(-1)!.headers.cookie, seen.at(-1)!.headers["x-kept"]], [undefined, undefined, "1"]);
    await both.fetch(call(`${base}/to?302=${encodeURIComponent("/x")}`, { headers }), never);
    assert.equal(seen.at(-1)!.headers.authorization, "Bearer t");
  });
  test("turns into GET without its body after 303, and stays POST with it after 307", async () => {
    await egress().fetch(call(`${base}/to?303=%2Fx`, { method: "POST", body: Buffer.from("form") }), never);
    assert.deepEqual([seen.at(-1)!.method, seen.at(-1)!.body], ["GET", ""]);
    await egress().fetch(call(`${base}/to?307=%2Fx`, { method: "POST", body: Buffer.from("form") }), never);
    assert.deepEqual([seen.at(-1)!.method, seen.at(-1)!.body], ["POST", "form"]);
  });
  test("obeys redirect: manual and redirect: error", async () => {
    assert.equal((await egress().fetch(call(`${base}/to?302=%2Fx`, { redirect: "manual" }), never)).status, 302);
    assert.match(await refusal(egress().fetch(call(`${base}/to?302=%2Fx`, { redirect: "error" }), never)), /redirects, and the call says/);
  });
  test("ends at 20 redirects", async () => {
    const bounce = http.createServer((request, response) => response.writeHead(302, { location: request.url! }).end());
    await new Promise<void>((resolve) => bounce.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(bounce.address() as AddressInfo).port}`;
    assert.match(await refusal(egress({ private: [url] }).fetch(call(`${url}/again`), never)), /more than 20 redirects/);
    bounce.closeAllConnections();
    bounce.close();
  });
  test("is cut off above the size bound, and when its exchange ends", async () => {
    assert.match(await refusal(egress().fetch(call(`${base}/large`), never)), /more than 1000 bytes/);
    const leaving = new AbortController();
    const waiting = egress().fetch(call(`${base}/never`), leaving.signal);
    leaving.abort();
    await refusal(waiting);
  });
  test("carries the same idempotency key on each attempt at an unsafe method, and the framing is the gateway's", async () => {
    await egress().fetch(
      call(`${base}/x`, {
        method: "POST",
        body: Buffer.from("ab"),
        headers: [
          ["Content-Length", "999"],
          ["Transfer-Encoding", "chunked"],
          ["Host", "evil"],
        ],
      }),
      never,
    );
    const { headers } = seen.at(-1)!;
    assert.deepEqual(
      [headers["idempotency-key"], headers["content-length"], headers["transfer-encoding"], headers.host],
      ["call-1", "2", undefined, new URL(base).host],
    );
  });
});
