import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, test } from "node:test";
import { startSluice } from "../e2e/sluice-command.ts";
import { startGateway } from "../support/running-gateway.ts";
import { type ApiDocument, holdToDocument, operationsOf } from "./held-to-its-document.ts";

const TOKEN = "0123456789abcdef-owner";
const READER = "0123456789abcdef-reader";

const rule = (word: string) => `import { defineRule } from "sluice";
export default defineRule({ onResponse(res) { res.headers.set("x-word", "${word}"); } });
`;
const EXPERIMENT = `import { defineExperiment } from "sluice";
export default defineExperiment({ key: "hero-copy", when: { path: "/" }, variants: { control: 50, bold: 50 }, apply: { bold: { headers: { "x-hero": "bold" } } },
  goals: { bought: { when: { path: "/checkout" } } } });
`;

const origin = createServer((_request, response) => response.end("from the origin"));
await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
const gateway = await startGateway({
  config: {
    upstreams: { site: { targets: [`http://127.0.0.1:${(origin.address() as AddressInfo).port}`] } },
    cache: {},
    record: { share: "100%" },
    admin: { port: 0, tokens: [{ name: "reader", roles: ["read"], token: { env: "READER_TOKEN" } }] },
  },
  rules: { "word.ts": rule("one"), "hero.ts": EXPERIMENT },
  env: { SLUICE_ADMIN_TOKEN: TOKEN, READER_TOKEN: READER },
});
const [, admin] = await gateway.process.printed(/admin on (\S+)/);
const bearer = { authorization: `Bearer ${TOKEN}` };
const api = (await (await fetch(`${admin}/v1/openapi.json`, { headers: bearer })).json()) as ApiDocument;
const held = await holdToDocument(admin!, api);
after(async () => {
  held.close();
  origin.close();
  await gateway.stop();
});

async function command(...args: readonly string[]): Promise<string> {
  const running = startSluice(gateway.folder, [...args, "--admin", held.url, "--json"], undefined, { SLUICE_ADMIN_TOKEN: TOKEN, READER_TOKEN: READER });
  const code = await running.exit;
  assert.ok(code === 0 || code === 2, `sluice ${args.join(" ")}: ${running.text()}`);
  return running.text();
}

async function ask(path: string, body?: object, token = TOKEN): Promise<Response> {
  return fetch(`${held.url}${path}`, {
    headers: { authorization: `Bearer ${token}` },
    ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
  });
}

const concrete = (path: string): string => path.replaceAll(/\{\w+\}/g, "nothing");

test("what commands ask for is answered as the document says", { timeout: 120_000 }, async () => {
  await command("deploy", "--wait");
  await writeFile(join(gateway.folder, "rules", "word.ts"), rule("two"));
  await command("plan");
  await command("deploy", "--wait");
  await command("rollback", "--wait");
  await fetch(gateway.url);
  for (const args of [["status"], ["releases"], ["purge", "--all"], ["explain", "http://localhost/"], ["explain", "--debug-header"], ["experiments"]])
    await command(...args);
  const { releases, head } = (await (await ask("/v1/releases")).json()) as { releases: { id: string }[]; head: { epoch: number; release: string } };
  const other = releases.find(({ id }) => id !== head.release)!.id;
  await ask(`/v1/releases/${other}`);
  await ask("/v1/rollouts");
  await ask("/v1/rollouts", { release: other, base: head.epoch - 1 });
  await ask("/v1/rollouts", { release: "ffffffffffff", base: head.epoch });
  await ask(`/v1/releases/${other}/preview`, {});
  await ask("/v1/shadow", { release: other });
  await ask("/v1/shadow");
  await ask("/v1/shadow/off", {});
  await ask("/v1/canary");
  await ask("/v1/canary", { action: "rollback" });
  await ask("/v1/recordings");
  await ask("/v1/recordings/purge", {});
  await ask("/v1/experiments/hero-copy");
  await ask("/v1/experiments/hero-copy/force", { variant: "bold" });
  for (const [action, body] of [
    ["stop", {}],
    ["start", {}],
    ["ship", { variant: "bold" }],
  ] as const)
    await ask(`/v1/experiments/hero-copy/${action}`, body);
  for (const path of ["/health", "/ready", "/metrics", "/v1/openapi.json"]) await ask(path);
  assert.deepEqual(held.faults, []);
});

test("every operation of the document has been answered well, but for those that need what is not here", () => {
  const good = new Set([...held.seen].filter((what) => / 2\d\d$/.test(what)).map((what) => what.replace(/ \d+$/, "")));
  const missing = operationsOf(api).map(({ method, path }) => `${method} ${path}`);
  // An event stream does not end; no canary runs; the last one has tests of its own.
  const notHere = new Set(["GET /v1/tail", "POST /v1/canary"]);
  assert.deepEqual(
    missing.filter((what) => !good.has(what) && !notHere.has(what)),
    [],
  );
});

/** Each from another address: one that fails often is not listened to. */
function strangerAsks(url: string, method: string, localAddress: string): Promise<number> {
  return new Promise((resolve, reject) => {
    request(url, { method, localAddress, agent: false }, (response) => {
      response.resume();
      response.on("end", () => resolve(response.statusCode!));
    })
      .on("error", reject)
      .end();
  });
}

test("every operation refuses as the document says: without a token, without its role, another method, a body that is none", async () => {
  for (const [i, { method, path, operation }] of operationsOf(api).entries()) {
    const url = `${held.url}${concrete(path)}`;
    const isOpen = operation.security.length === 0;
    const body = method === "POST" ? { body: "{ no JSON" } : {};
    assert.equal((await strangerAsks(`${admin}${concrete(path)}`, method, `127.0.1.${i + 1}`)) === 401, !isOpen, `${method} ${path}`);
    const [{ bearer: roles = [] } = {}] = operation.security as { bearer?: string[] }[];
    if (!isOpen && roles[0] !== "read") {
      const reader = await fetch(url, { method, headers: { authorization: `Bearer ${READER}` }, ...body });
      assert.deepEqual([path, reader.status, ((await reader.json()) as { code: string }).code], [path, 403, "ROLE_MISSING"]);
    }
    if (method === "POST") assert.equal((await fetch(url, { method, headers: bearer, ...body })).status, 400, path);
    const other = await fetch(`${admin}${concrete(path)}`, { method: "DELETE", headers: bearer });
    const methods = Object.keys(api.paths[path]!).map((one) => (one === "get" ? "GET, HEAD" : one.toUpperCase()));
    assert.deepEqual([path, other.status, other.headers.get("allow")], [path, 405, methods.join(", ")]);
    assert.equal(((await other.json()) as { code: string }).code, "METHOD_NOT_ALLOWED");
  }
  const lost = await fetch(`${admin}/v1/nowhere`, { headers: bearer });
  assert.deepEqual([lost.status, lost.headers.get("content-type")], [404, "application/json"]);
  assert.equal(((await lost.json()) as { code: string }).code, "NOT_FOUND");
  assert.deepEqual(held.faults, []);
});

test("a body with a member that the document does not have is refused with its name", async () => {
  const answer = await ask("/v1/cache/purge", { all: true, soon: true });
  assert.equal(answer.status, 400);
  assert.match(((await answer.json()) as { found: string }).found, /soon/);
});
