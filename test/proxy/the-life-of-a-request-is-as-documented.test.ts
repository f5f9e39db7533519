import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import { describe, test } from "node:test";
import { gateway } from "../../runtime/testing/testing.ts";

const gw = await gateway({
  rules: "./life-rules",
  upstreams: {
    first: ({ target, headers, body, method }) => {
      if (target === "/both-fail" || target === "/ping-pong" || target === "/second-chance" || target === "/friendly" || target === "/plain-error")
        throw new Error("the origin is ill");
      if (target === "/gzip") return { headers: { "content-encoding": "gzip", "x-edit": "yes", etag: '"1"' }, body: gzipSync("from the origin") };
      return {
        headers: {
          server: "origin/1.0",
          "x-powered-by": "magic",
          "x-edit": target === "/edit" ? "yes" : "no",
          connection: "x-secret-hop",
          "x-secret-hop": "1",
        },
        body: { by: "first", method, target, body, order: headers.get("x-order"), headers: Object.fromEntries(headers.entries()), text: "origin" },
      };
    },
    second: ({ target }) => {
      if (target === "/both-fail" || target === "/ping-pong") throw new Error("the stand-in is ill as well");
      return { body: { by: "second", target } };
    },
  },
  fetch: { "https://flags.example": ({ method, body }) => `${method} ${body} blue` },
});
/** Upstreams in the order in which they were asked first: on a connection that had sat idle, each may be asked twice. */
const asked = (res: { upstreamRequests: readonly { upstream: string }[] }): string =>
  [...new Set(res.upstreamRequests.map(({ upstream }) => upstream))].join(", ");
interface Seen {
  by: string;
  method: string;
  target: string;
  body: string;
  order: string;
  headers: Record<string, string>;
}

describe("hooks", () => {
  test("run by order on the way in and in reverse on the way out", async () => {
    const res = await gw.request("/plain");
    assert.equal(res.json<Seen>().order, "first second");
    assert.equal(res.headers.get("x-way-out"), "second, first");
    assert.equal(res.headers.get("x-from"), "upstream");
    assert.equal(res.headers.get("x-seen"), "first onRequest, first onOriginRequest, first onOriginResponse, first onResponse");
  });
  test("of a rule that does not match are not run", async () => {
    const res = await gw.request("/unmatched");
    assert.equal(res.json<Seen>().order, "first");
    assert.equal(res.headers.get("x-way-out"), "first");
  });
  test("that answer skip later request hooks and the upstream, and response hooks still run", async () => {
    const res = await gw.request("/answered");
    assert.deepEqual(
      [res.status, res.json(), res.headers.get("x-by"), res.headers.get("x-from"), res.headers.get("x-way-out")],
      [203, { by: "first" }, "first", "rule", "second, first"],
    );
    assert.deepEqual(res.upstreamRequests, []);
  });
  test("that throw are answered by onFailure, and response hooks see the gateway's answer", async () => {
    const res = await gw.request("/throws");
    assert.deepEqual([res.status, res.headers.get("sluice-error"), res.headers.get("x-way-out")], [503, "RULE_THREW", "second, first"]);
    const failure = res.hooks.find(({ outcome }) => outcome === "failed-closed")?.failure ?? "";
    assert.match(failure, /on purpose/);
    assert.match(failure, /10-first\.ts:17:\d+/, "the stack names the TypeScript line");
    assert.doesNotMatch(failure, /\/work|\/home|node_modules/);
  });
  test("that throw and fail open leave none of their changes", async () => {
    const res = await gw.request("/fails-open");
    assert.equal(res.status, 200);
    assert.equal(res.json<Seen>().headers["x-half-done"], undefined);
    assert.ok(res.hooks.some(({ rule, outcome }) => rule === "30-open.ts" && outcome === "failed-open"));
  });
  test("may change path, upstream, body and status, and call a service", async () => {
    const echoed = await gw.request("/echo", { method: "POST", body: "quiet" });
    assert.equal(echoed.status, 200, JSON.stringify(echoed.hooks));
    assert.equal((await gw.request("/rewritten?keep=1")).json<Seen>().target, "/target?keep=1");
    assert.equal((await gw.request("/elsewhere")).json<Seen>().by, "second");
    assert.equal((await gw.request("/echo", { method: "POST", body: "quiet" })).json<Seen>().body, "QUIET");
    assert.equal((await gw.request("/teapot")).status, 418);
    const fetched = await gw.request("/fetch");
    assert.equal(fetched.json<Seen>().headers["x-flags"], "POST which? blue");
    assert.equal(fetched.fetches.length, 1);
  });
  test("may edit a body, also one that came compressed, and what described the old bytes goes", async () => {
    assert.match((await gw.request("/edit")).text(), /"text":"edge"/);
    const res = await gw.request("/gzip");
    assert.deepEqual(
      [res.text(), res.headers.get("content-encoding"), res.headers.get("etag"), res.headers.get("content-length")],
      ["from the edge", null, null, "13"],
    );
  });
  test("see the exchange complete", async () => {
    const lines: string[] = [];
    for (let i = 0; i < 50 && lines.length === 0; i++)
      lines.push(...(await gw.request("/plain")).logs.map(({ text }) => text).filter((text) => text.startsWith("complete")));
    assert.match(lines[0] ?? "", /^complete \/\w+ 200 4$/);
  });
});

describe("an upstream that fails", () => {
  test("is answered with the gateway's error, in the form that the client asks for", async () => {
    const text = await gw.request("/plain-error");
    assert.deepEqual([text.status, text.headers.get("sluice-error"), text.headers.get("x-from")], [502, "UPSTREAM_RESET", "gateway"]);
    assert.match(text.text(), /code: UPSTREAM_RESET\nrequest id: \S+/);
    assert.equal(
      (await gw.request("/plain-error", { headers: { accept: "application/json" } })).json<{ error: { code: string } }>().error.code,
      "UPSTREAM_RESET",
    );
    assert.match((await gw.request("/plain-error", { headers: { accept: "text/html" } })).text(), /<h1>502 Bad gateway<\/h1>/);
  });
  test("may be stood in for by another, when a rule says so", async () => {
    assert.equal((await gw.request("/second-chance")).json<Seen>().by, "second");
  });
  test("together with its stand-in is answered for by a rule, too", async () => {
    const res = await gw.request("/both-fail");
    assert.deepEqual([res.status, res.text(), asked(res)], [503, "both are away: UPSTREAM_RESET", "first, second"]);
  });
  test("is stood in for once, however often a rule asks", async () => {
    const res = await gw.request("/ping-pong");
    assert.deepEqual([res.status, res.headers.get("sluice-error"), asked(res)], [502, "UPSTREAM_RESET", "first, second"]);
  });
  test("may be answered for by a rule", async () => {
    const res = await gw.request("/friendly");
    assert.deepEqual([res.status, res.text(), res.headers.get("x-from")], [503, "sorry: UPSTREAM_RESET", "rule"]);
  });
  test("that config does not name is the rule's mistake", async () => {
    const res = await gw.request("/nowhere");
    assert.deepEqual([res.status, res.headers.get("sluice-error")], [500, "UPSTREAM_UNKNOWN"]);
  });
});

describe("on the wire", () => {
  test("the origin is told who asks, and hop-by-hop fields and cookies that a rule took out stay here", async () => {
    const res = await gw.request("https://shop.example/plain", { client: "203.0.113.9", headers: { cookie: "a=1", te: "trailers", "x-custom": "kept" } });
    const { headers } = res.json<Seen>();
    assert.deepEqual(
      [headers["host"], headers["x-forwarded-proto"], headers["x-forwarded-for"], headers["via"], headers["cookie"], headers["te"], headers["x-custom"]],
      ["shop.example", "https", "203.0.113.9, 127.0.0.1", "1.1 sluice", undefined, undefined, "kept"],
    );
  });
  test("the client sees no software of the origin, its request id, and the release", async () => {
    const res = await gw.request("/plain", { headers: { "x-request-id": "mine-1" } });
    assert.deepEqual(
      [res.headers.get("server"), res.headers.get("x-powered-by"), res.headers.get("x-secret-hop"), res.headers.get("x-request-id"), res.headers.get("via")],
      [null, null, null, "mine-1", "1.1 sluice"],
    );
    assert.match(res.headers.get("sluice-release") ?? "", /^[0-9a-f]{12}$/);
  });
  test("HEAD has the length of GET and no body", async () => {
    const res = await gw.request("/plain", { method: "HEAD" });
    assert.deepEqual([res.status, res.bytes.length], [200, 0]);
    assert.ok(Number(res.headers.get("content-length")) > 0);
  });
});
