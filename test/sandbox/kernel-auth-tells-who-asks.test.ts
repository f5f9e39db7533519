import assert from "node:assert/strict";
import { test } from "node:test";
import { rule, SandboxProcess, type HookOptions } from "./process-harness.ts";

const ASK = (call: string): string =>
  rule(
    `{ async onRequest(req, ctx) { const who = await ctx.auth.${call}; return respond(200, { who, reason: ctx.auth.reason, challenge: ctx.auth.challenge, refusal: ctx.auth.refusal, user: req.headers.get("x-user") }) } }`,
  );

interface Told {
  readonly who: unknown;
  readonly reason: string | null;
  readonly challenge: string;
  readonly refusal: unknown;
  readonly user: string | null;
}

async function told(sandbox: SandboxProcess, options: HookOptions, answer?: unknown): Promise<{ told: Told; args: Record<string, unknown> | null }> {
  sandbox.send(sandbox.hookRecord(options).record);
  let args: Record<string, unknown> | null = null;
  if (answer !== undefined) {
    const call = await sandbox.next("CALL");
    args = { service: call.service, ...call.args };
    sandbox.reply(call, answer);
  }
  const done = await sandbox.next("DONE");
  assert.deepEqual(done.failure, null);
  return { told: JSON.parse(String(done.effects.at(-1)?.fields.at(-1))) as Told, args };
}

const basic = (text: string): string => `authorization:Basic ${Buffer.from(text).toString("base64")}`;

test("basic lets the right password in and says why another stays out", async () => {
  await using sandbox = await SandboxProcess.with(
    ASK(`basic({ users: { ada: "pass:wörd", __proto__: null }, realm: 'the "staff"' })`),
    ASK(`basic({ verify: async (user, password) => user === "bob" && password === "b" })`),
  );
  assert.deepEqual((await told(sandbox, { headers: [basic("ada:pass:wörd")] })).told.who, { user: "ada" });
  const cases: [headers: string[], reason: string][] = [
    [[], "missing"],
    [["authorization:Bearer x"], "malformed"],
    [["authorization:Basic !!!"], "malformed"],
    [[basic("nocolon")], "malformed"],
    [[basic("ada:wrong")], "denied"],
    [[basic("nobody:")], "denied"],
    [[basic("toString:x")], "denied"],
  ];
  for (const [headers, reason] of cases) {
    const { who, reason: found, challenge } = (await told(sandbox, { headers })).told;
    assert.deepEqual([who, found, challenge], [null, reason, `Basic realm="the \\"staff\\"", charset="UTF-8"`], headers.join());
  }
  const rules = [{ rule: 1 }];
  assert.deepEqual((await told(sandbox, { headers: [basic("bob:b")], rules })).told.who, { user: "bob" });
  assert.equal((await told(sandbox, { headers: [basic("bob:c")], rules })).told.reason, "denied");
});

test("an API key is found where the rule says, and judged by the rule", async () => {
  const verify = `verify: async (key) => ({ k1: "ada", k2: { id: 7 } })[key]`;
  await using sandbox = await SandboxProcess.with(
    ASK(`apiKey({ from: { header: "x-key" }, ${verify} })`),
    ASK(`apiKey({ from: { query: "key" }, ${verify} })`),
    ASK(`apiKey({ from: { cookie: "key" }, ${verify} })`),
  );
  assert.equal((await told(sandbox, { headers: ["x-key:k1"] })).told.who, "ada");
  assert.deepEqual((await told(sandbox, { head: "GET http h /?key=k2", rules: [{ rule: 1 }] })).told.who, { id: 7 });
  assert.equal((await told(sandbox, { headers: ["cookie:key=k1"], rules: [{ rule: 2 }] })).told.who, "ada");
  assert.equal((await told(sandbox, { headers: ["x-key:k9"] })).told.reason, "denied");
  assert.equal((await told(sandbox, {})).told.reason, "missing");
});

test("jwt hands the token and the rule's options to the service, and nothing else", async () => {
  await using sandbox = await SandboxProcess.with(
    ASK(`jwt({ key: "k", issuer: "me", algorithms: ["HS256"] })`),
    ASK(`jwt({ jwksUrl: "https://id.example/keys", from: { cookie: "session" } })`),
  );
  const good = await told(sandbox, { headers: ["authorization:bearer a.b.c", "cookie:private=1"] }, { claims: { iss: "me", exp: 1 } });
  assert.deepEqual(good.args, { service: "jwt", token: "a.b.c", key: "k", issuer: "me", algorithms: ["HS256"] });
  assert.deepEqual([good.told.who, good.told.reason], [{ iss: "me", exp: 1, sub: "" }, null]);
  const bad = await told(sandbox, { headers: ["cookie:session=x.y.z"], rules: [{ rule: 1 }] }, { reason: "expired" });
  assert.deepEqual(bad.args, { service: "jwt", token: "x.y.z", jwksUrl: "https://id.example/keys" });
  assert.deepEqual([bad.told.who, bad.told.reason, bad.told.challenge], [null, "expired", `Bearer error="invalid_token"`]);
  const none = await told(sandbox, { headers: ["authorization:Basic abc"] });
  assert.deepEqual([none.told.who, none.told.reason, none.told.challenge], [null, "missing", "Bearer"]);
});

test("hmac and forward ask the worker, and what the service sets reaches the request", async () => {
  await using sandbox = await SandboxProcess.with(
    ASK(`hmac({ secret: "s", headers: ["date"], maxAge: 60 })`),
    ASK(`forward({ url: "https://auth.example/check", copyRequestHeaders: ["cookie"], copyResponseHeaders: ["x-user"] })`),
  );
  const signed = await told(sandbox, {}, { identity: { keyId: "k", signedAt: 5 } });
  assert.deepEqual(
    [signed.args, signed.told.who],
    [
      { service: "hmac", secret: "s", headers: ["date"], maxAge: 60 },
      { keyId: "k", signedAt: 5 },
    ],
  );
  const answer = { status: 200, headers: {}, setCookies: [], body: "" };
  const yes = await told(sandbox, { rules: [{ rule: 1 }] }, { answer, setHeaders: [["x-user", "ada"]] });
  assert.deepEqual(
    [yes.args, yes.told.who, yes.told.user],
    [{ service: "forward", url: "https://auth.example/check", copyRequestHeaders: ["cookie"], copyResponseHeaders: ["x-user"] }, answer, "ada"],
  );
  const refusal = { status: 302, headers: { location: "/login" }, setCookies: ["csrf=1"], body: "" };
  const no = await told(sandbox, { rules: [{ rule: 1 }] }, { reason: "denied", refusal });
  assert.deepEqual([no.told.who, no.told.reason, no.told.refusal], [null, "denied", refusal]);
});

test("a client never says itself what the auth service was asked to say", async () => {
  await using sandbox = await SandboxProcess.with(ASK(`forward({ url: "https://auth.example/check", copyResponseHeaders: ["X-User"] })`));
  const headers = ["x-user:ada"];
  const answer = { status: 200, headers: {}, setCookies: [], body: "" };
  assert.equal((await told(sandbox, { headers }, { answer, setHeaders: [] })).told.user, null);
  assert.equal((await told(sandbox, { headers }, { answer, setHeaders: [["x-user", "ben"]] })).told.user, "ben");
  assert.equal((await told(sandbox, { headers }, { reason: "denied", refusal: answer })).told.user, null);
});

test("wrong options are the rule's failure, not the client's", async () => {
  const bad = [`basic({})`, `basic()`, `basic({ users: { ada: undefined } })`, `apiKey({ from: {}, verify: () => 1 })`, `apiKey({ from: { header: "x" } })`];
  await using sandbox = await SandboxProcess.with(...bad.map((call) => ASK(call)));
  for (const [index, call] of bad.entries()) {
    const done = await sandbox.hook({ headers: [basic("ada:x")], rules: [{ rule: index }] });
    assert.match(done.failure?.message ?? "", /^TypeError: ctx\.auth\./, call);
  }
});
