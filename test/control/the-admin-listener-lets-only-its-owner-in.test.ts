import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync, chmodSync } from "node:fs";
import { request } from "node:http";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { adminToken } from "../../runtime/control/admin-token.ts";
import { startAdmin, type AdminGateway } from "../../runtime/control/admin.ts";

const TOKEN = "0123456789abcdef-token";

async function admin(t: TestContext, overrides: Partial<AdminGateway> = {}): Promise<number> {
  const gateway: AdminGateway = {
    notReady: () => "",
    status: () => ({ state: "serving" }),
    metrics: async () => "a_metric 1\n",
    purge: async () => null,
    ...overrides,
  };
  const started = await startAdmin({ listen: { host: "127.0.0.1", port: 0 }, token: TOKEN, version: "0", gateway, log: () => undefined });
  t.after(() => started.close());
  return started.address.port;
}

interface Asked {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

function ask(port: number, target: string, headers: Record<string, string> = {}, method = "GET"): Promise<Asked> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path: target, method, headers, agent: false }, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (piece: string) => (body += piece));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body, headers: response.headers }));
    })
      .on("error", reject)
      .end();
  });
}

const bearer = { authorization: `Bearer ${TOKEN}` };

test("health and ready need no token; everything else does, and says nothing about what there is", async (t) => {
  const port = await admin(t);
  assert.deepEqual([(await ask(port, "/health")).status, (await ask(port, "/ready")).status], [200, 200]);
  for (const target of ["/metrics", "/v1/status", "/nowhere", "/constructor"]) {
    const { status, body, headers } = await ask(port, target);
    assert.deepEqual([target, status, headers["www-authenticate"]], [target, 401, 'Bearer realm="sluice admin"']);
    assert.deepEqual(Object.keys(JSON.parse(body) as object), ["code", "found", "expected"]);
  }
});

test("the token opens metrics and status; unknown paths name the known ones", async (t) => {
  const port = await admin(t);
  const metrics = await ask(port, "/metrics", bearer);
  assert.deepEqual([metrics.status, metrics.body, metrics.headers["content-type"]], [200, "a_metric 1\n", "text/plain; version=0.0.4; charset=utf-8"]);
  assert.deepEqual(JSON.parse((await ask(port, "/v1/status?x=1", bearer)).body), { state: "serving" });
  const lost = await ask(port, "/v1/statsu", bearer);
  assert.equal(lost.status, 404);
  assert.deepEqual(JSON.parse(lost.body), {
    code: "NOT_FOUND",
    found: "/v1/statsu",
    expected: "/health, /ready, /metrics, /v1/status, /v1/cache/purge, /v1/openapi.json",
  });
});

test("tokens that nearly fit do not", async (t) => {
  const port = await admin(t);
  for (const authorization of [
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.slice(1)}`,
    "Bearer ",
    TOKEN,
    `Basic ${TOKEN}`,
    `Bearer ${TOKEN} ${TOKEN}`,
    `Bearer ${TOKEN.toUpperCase()}`,
  ]) {
    assert.deepEqual([authorization, (await ask(port, "/metrics", { authorization })).status], [authorization, 401]);
  }
});

test("DNS rebinding: a page whose own name points here is refused even with the token", async (t) => {
  const port = await admin(t);
  for (const host of ["evil.example", `evil.example:${port}`, "127.0.0.1.evil.example", "localhost.evil.example", "[::1", "a@127.0.0.1"]) {
    assert.deepEqual([host, (await ask(port, "/v1/status", { ...bearer, host })).status], [host, 421]);
  }
  for (const host of ["localhost", `localhost:${port}`, `127.0.0.1:${port}`, `[::1]:${port}`, "LOCALHOST"]) {
    assert.deepEqual([host, (await ask(port, "/v1/status", { ...bearer, host })).status], [host, 200]);
  }
});

test("other pages' scripts are refused by their Origin", async (t) => {
  const port = await admin(t);
  assert.equal((await ask(port, "/v1/status", { ...bearer, origin: "https://evil.example" })).status, 403);
  assert.equal((await ask(port, "/v1/status", { ...bearer, origin: "null" })).status, 403);
  assert.equal((await ask(port, "/v1/status", { ...bearer, origin: `http://127.0.0.1:${port}` })).status, 200);
});

test("ready says why not", async (t) => {
  const port = await admin(t, { notReady: () => "the gateway is draining" });
  const { status, body } = await ask(port, "/ready");
  assert.equal(status, 503);
  assert.deepEqual(JSON.parse(body), { code: "NOT_READY", found: "the gateway is draining", expected: "at least one worker that serves" });
  assert.equal((await ask(port, "/health")).status, 200);
});

test("only GET and HEAD; a body is not waited for", async (t) => {
  const port = await admin(t);
  const posted = await ask(port, "/v1/status", bearer, "POST");
  assert.deepEqual([posted.status, posted.headers["allow"]], [405, "GET, HEAD"]);
  assert.equal((await ask(port, "/health", {}, "HEAD")).body, "");
  const text = await new Promise<string>((resolve) => {
    let got = "";
    const socket = net.connect(port, "127.0.0.1", () => socket.write(`POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n`));
    socket.on("data", (bytes) => (got += bytes.toString()));
    socket.on("close", () => resolve(got));
    socket.on("error", () => resolve(got));
  });
  assert.match(text, /^HTTP\/1\.1 401 /);
});

test("a defect shows nothing of itself", async (t) => {
  const port = await admin(t, { metrics: () => Promise.reject(new Error("secret path /etc")) });
  const { status, body } = await ask(port, "/metrics", bearer);
  assert.equal(status, 500);
  assert.ok(!body.includes("secret"));
});

test("a port that is taken is told with its place in config", async (t) => {
  const port = await admin(t);
  const options = {
    listen: { host: "127.0.0.1", port },
    token: TOKEN,
    version: "0",
    gateway: { notReady: () => "", status: () => ({}), metrics: async () => "", purge: async () => null },
    log: () => undefined,
  };
  await assert.rejects(startAdmin(options), {
    message: `admin (127.0.0.1, port ${port}): port ${port} is taken by another program; stop it, or choose another port`,
  });
});

test("a token is made once, readable by its owner alone, and found again", async (t) => {
  const dir = mkdtempSync(path.join(tmpdir(), "sluice-token-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const stateDir = path.join(dir, "state");
  const made = await adminToken(stateDir, undefined);
  const file = path.join(stateDir, "admin-token");
  assert.ok(made.length >= 40);
  assert.equal(readFileSync(file, "utf8"), `${made}\n`);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(statSync(stateDir).mode & 0o777, 0o700);
  chmodSync(file, 0o644);
  assert.equal(await adminToken(stateDir, ""), made);
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.equal(await adminToken(stateDir, "from-the-environment"), "from-the-environment");
});

test("a token that is too short or not of visible characters refuses the start", async (t) => {
  const dir = mkdtempSync(path.join(tmpdir(), "sluice-token-"));
  t.after(() => rmSync(dir, { recursive: true }));
  await assert.rejects(adminToken(dir, "short"), /SLUICE_ADMIN_TOKEN: found a token of 5 characters, expected 16 to 4096/);
  await assert.rejects(adminToken(dir, "sixteen characters with spaces"), /visible ASCII/);
  writeFileSync(path.join(dir, "admin-token"), "\n");
  await assert.rejects(adminToken(dir, undefined), /admin-token: found a token of 0 characters/);
});
