import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { Writable } from "node:stream";
import { test, type TestContext } from "node:test";
import { callAdmin, reaching } from "../../runtime/cli/admin-call.ts";
import { outsideSources } from "../../runtime/cli/outside-sources.ts";
import { promote } from "../../runtime/cli/promote.ts";
import { buildRelease } from "../../runtime/cli/release-build.ts";
import { releases, status } from "../../runtime/cli/releases.ts";
import { releaseBefore, rollback } from "../../runtime/cli/rollback.ts";
import { Terminal } from "../../runtime/cli/terminal.ts";
import { EMPTY_RELEASE } from "../../runtime/compile/release.ts";
import { resolveConfig } from "../../runtime/config/config.ts";
import type { SeenGateway } from "../../runtime/control/board.ts";
import type { HeadKind } from "../../runtime/control/release-shelf.ts";
import type { Rollout, RolloutState } from "../../runtime/control/rollouts.ts";

process.env["SLUICE_ADMIN_TOKEN"] = "a-token-for-tests-only";

const [A, B, C] = ["a", "b", "c"].map((letter) => letter.repeat(12)) as [string, string, string];
const ROLLING = { config: ".", wait: true, dryRun: false, timeoutMs: 1000, message: "" } as const;

/** "GET /v1/status" → what it answers; null: the connection breaks. What is not named is answered as by some other program. */
type Answers = Readonly<Record<string, unknown>>;

async function answering(t: TestContext, answers: Answers): Promise<{ admin: string; config: string }> {
  const server = createServer((request, response) => {
    request.resume();
    const value = answers[`${request.method} ${request.url}`];
    if (value === null) response.destroy();
    else if (value === undefined) response.writeHead(404, { "content-type": "text/html" }).end("<p>nothing here</p>");
    else response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(value));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  t.after(() => server.close());
  return { admin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, config: "." };
}

async function said(run: (terminal: Terminal) => Promise<number>): Promise<{ code: number; out: string; err: string }> {
  const texts = { out: "", err: "" };
  const into = (name: "out" | "err") => new Writable({ decodeStrings: false, write: (text: string, _encoding, done) => done(void (texts[name] += text)) });
  const code = await run(new Terminal(into("out"), into("err"), false));
  return { code, ...texts };
}

function rollout(state: RolloutState, more: Partial<Rollout> = {}): Rollout {
  return { number: 7, release: A, base: 3, kind: "rollback", dryRun: false, state, reason: "", epoch: 0, gateways: [], tookMs: 1, ...more };
}

function shelf(...heads: readonly (readonly [HeadKind, string])[]): object {
  const history = heads.map(([kind, release], i) => ({ kind, release, epoch: heads.length - i, by: "ann", message: "", digest: "", atUnixMs: 0, rollout: 1 }));
  const entry = { author: "ann", message: "", builtUnixMs: 0, uploadedUnixMs: 0, rules: [], signedBy: "", codeBytes: 0, digest: "" };
  const kept = [...new Set(heads.map(([, release]) => release))].map((id) => Object.assign({ id, commit: `${id}${"0".repeat(28)}+` }, entry));
  return { releases: kept, history, head: history[0] ?? null, here: { release: A, epoch: 1 } };
}

const NO_CANARY = { running: null, last: null };

test("what is no admin API is told as such, and so is an answer that broke off, or a place without token or config", async (t) => {
  const other = await answering(t, { "GET /v1/status": null, "GET /v1/json": "a word" });
  const failure = (endpoint: string, place: { admin?: string; config: string } = other) =>
    callAdmin(place, endpoint).then(
      () => "",
      (error: unknown) => (error as Error).message,
    );
  assert.match(await failure("/v1/other"), /^what answers at \S+ is no admin API of Sluice \(status 404, text\/html\); sluice start prints where that is/);
  assert.match(await failure("/v1/json"), /is no admin API of Sluice \(status 200/);
  assert.match(await failure("/v1/status"), /no gateway answers at \S+ \(ECONNRESET\)/);
  assert.match(
    await failure("/v1/status", { ...other, admin: "somewhere" }),
    /no gateway answers at somewhere \(ERR_INVALID_URL\); is it running, and is --admin right\?/,
  );

  const empty = mkdtempSync(path.join(tmpdir(), "sluice-nothing-"));
  t.after(() => rmSync(empty, { recursive: true }));
  assert.match(
    await failure("/v1/status", { config: empty }),
    /^no gateway is named: --admin URL, or a config with --config FILE; .*\n.*found neither sluice\.config\.ts/,
  );
  const token = process.env["SLUICE_ADMIN_TOKEN"]!;
  t.after(() => (process.env["SLUICE_ADMIN_TOKEN"] = token));
  delete process.env["SLUICE_ADMIN_TOKEN"];
  assert.match(await failure("/v1/status", { ...other, config: empty }), /^no admin token: SLUICE_ADMIN_TOKEN is not set, and no config/);
  const { code, err } = await said((terminal) => reaching(terminal, async () => callAdmin({ config: empty }, "/v1/status").then(() => 0)));
  assert.deepEqual([code, err.includes("at callAdmin")], [1, false]);
});

test("a key that cannot sign is told before anything is compiled", async (t) => {
  const dir = mkdtempSync(path.join(tmpdir(), "sluice-keys-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const config = resolveConfig({ upstreams: { a: { targets: ["http://127.0.0.1:9"] } } }, { baseDir: dir, file: "" });
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" });
  const problem = async (name: string, text: string | Buffer | null): Promise<string> => {
    if (text !== null) writeFileSync(path.join(dir, name), text);
    const built = await buildRelease(config, "", path.join(dir, name), Promise.resolve(EMPTY_RELEASE), () => undefined);
    return "package" in built ? "" : built.map(({ text: said }) => said).join("; ");
  };
  const expected = "expected an Ed25519 private key in PEM, as openssl genpkey -algorithm ed25519 makes it";
  assert.equal(await problem("missing.pem", null), `cannot be read (ENOENT), ${expected}`);
  assert.equal(await problem("words.pem", "my key"), `found no private key, ${expected}`);
  assert.equal(await problem("empty.pem", ""), `found no private key, ${expected}`);
  assert.equal(await problem("rsa.pem", rsa), `found a key of type rsa, ${expected}`);
});

test("a rollback that names nothing never leads back to what a rollback has left", () => {
  const heads = (...newestFirst: readonly (readonly [HeadKind, string])[]) => releaseBefore(newestFirst.map(([kind, release]) => ({ kind, release })));
  assert.equal(heads(), null);
  assert.equal(heads(["deploy", A]), null);
  assert.equal(heads(["deploy", B], ["deploy", A]), A);
  assert.equal(heads(["rollback", A], ["deploy", B], ["deploy", A]), null);
  assert.equal(heads(["rollback", B], ["deploy", C], ["deploy", B], ["deploy", A]), A);
  assert.equal(heads(["deploy", C], ["rollback", A], ["deploy", B], ["deploy", A]), A);
  assert.equal(heads(["deploy", B], ["rollback", A], ["deploy", B], ["deploy", A]), A, "deployed again on purpose");
  assert.equal(heads(["rollback", B], ["rollback", A], ["deploy", B], ["deploy", A]), A, "named on purpose");
  // Steps, ends and beginnings of a canary leave what serves as it is; a promotion is a deploy.
  assert.equal(heads(["canary-end", B], ["step", B], ["canary", B], ["deploy", B], ["deploy", A]), A);
  assert.equal(heads(["promotion", C], ["canary", B], ["deploy", B]), B);
  assert.equal(heads(["rollback", C], ["deploy", B], ["deploy", A]), null, "older than what is remembered: so is what came before it");
});

test("a rollback says what it did: nothing for a dry run, not everywhere, nothing to go back to", async (t) => {
  const back = async (answers: Answers, more: { dryRun?: boolean; wait?: boolean } = {}) =>
    said(async (terminal) =>
      rollback({ ...ROLLING, ...more, ...(await answering(t, { "GET /v1/canary": NO_CANARY, ...answers })), args: [undefined] }, terminal),
    );
  const two = { "GET /v1/releases": shelf(["deploy", B], ["deploy", A]) };
  const dry = await back({ ...two, "POST /v1/rollouts": rollout("checked", { dryRun: true }) }, { dryRun: true });
  assert.equal(dry.code, 0);
  assert.match(dry.out, new RegExp(`^from release ${B} to ${A}, on top of epoch 2$`, "m"));
  assert.match(dry.out, new RegExp(`^release ${A} could serve again everywhere; nothing was changed`, "m"));
  assert.doesNotMatch(dry.out, /back on/);
  const torn = await back({ ...two, "POST /v1/rollouts": rollout("incomplete", { epoch: 3, reason: "not served in time by b" }) });
  assert.equal(torn.code, 1);
  assert.match(torn.out, new RegExp(`release ${A} was not served everywhere: not served in time by b`));
  const begun = await back({ ...two, "POST /v1/rollouts": rollout("active", { epoch: 3 }) }, { wait: false });
  assert.equal(begun.code, 0);
  assert.match(begun.out, new RegExp(`back on release ${A} \\(\\d+ ms\\); gateways switch now: sluice status shows who serves it`));
  const twice = await back({ "GET /v1/releases": shelf(["rollback", A], ["deploy", B], ["deploy", A]) });
  assert.deepEqual([twice.code, twice.out], [1, ""]);
  assert.equal(twice.err, `found nothing before ${A} that was not taken back itself (${B}), expected the one that is meant: sluice rollback ID\n`);
  assert.match((await back({ "GET /v1/releases": shelf() })).err, /^found no release that was ever deployed/);
});

test("a gateway that is lost while it leads a rollout is told with what may have become of it", async (t) => {
  const lost = async (state: RolloutState) =>
    said(async (terminal) => {
      const place = await answering(t, {
        "GET /v1/canary": NO_CANARY,
        "GET /v1/releases": shelf(["deploy", B], ["deploy", A]),
        "POST /v1/rollouts": rollout(state),
        "GET /v1/rollouts/7": null,
      });
      return rollback({ ...ROLLING, ...place, args: [undefined] }, terminal);
    });
  const preparing = await lost("preparing");
  assert.equal(preparing.code, 1);
  assert.match(preparing.err, /no gateway answers .*; rollout 7 of release a+ may have come to its end, or to nothing without this command: sluice status/);
  assert.match((await lost("active")).err, /rollout 7 of release a+ is committed, and goes on without this command/);
});

test("promote --step says which share the canary takes, not that it is promoted", async (t) => {
  const canary = (at: number) => ({ running: { canary: { release: C, steps: [500, 2500, 10_000], at, past: [] }, epoch: 3, picture: null }, last: null });
  const step = async (at: number, dryRun: boolean) =>
    said(async (terminal) => {
      const place = await answering(t, { "GET /v1/canary": canary(at), "POST /v1/canary": rollout("serving", { kind: "step", epoch: 4 }) });
      return promote({ ...ROLLING, ...place, step: true, dryRun }, terminal);
    });
  assert.match((await step(0, false)).out, new RegExp(`^canary ${C} takes 25% of the clients \\(epoch 4, `, "m"));
  assert.match((await step(0, true)).out, /would take 25%; nothing was changed/);
  assert.match((await step(1, true)).out, /has no step left; sluice promote lets it serve everybody; nothing was changed/);
});

test("status says in one line whether it is live everywhere, by whom it is not, and what is under way", async (t) => {
  const gateway = (name: string, more: Partial<SeenGateway> = {}): SeenGateway => {
    const facts = { host: "", pid: 1, version: "0", startedUnixMs: 0, live: true, silentMs: 0 };
    return { name, epoch: 5, release: A, state: "serving", reason: "", ...facts, ...more };
  };
  const line = async (gateways: readonly SeenGateway[], rolling: object | null = null, stored = "ready"): Promise<string> => {
    const deployed = { gateway: "one", epoch: 5, gateways, drift: [], running: null, rollout: rolling };
    const whole = {
      state: "serving",
      version: "0",
      release: { id: A, rules: [] },
      workers: [],
      quarantined: [],
      upstreams: [],
      store: { kind: "redis", state: stored, reason: "" },
      deployed,
    };
    const { out } = await said(async (terminal) => status(await answering(t, { "GET /v1/status": whole }), terminal));
    return out
      .split("\n")
      .filter((text) => /^(epoch \d|rollout \d|the store)/.test(text))
      .join("\n");
  };
  assert.equal(await line([gateway("one"), gateway("two")]), "epoch 5 is served by every live gateway");
  assert.equal(
    await line([gateway("one"), gateway("two", { epoch: 4, state: "behind", reason: "it lacks a secret" }), gateway("three", { live: false, epoch: 4 })]),
    "epoch 5 is served by 1 of 2 live gateways; not by two: it lacks a secret; away: three",
  );
  assert.match(
    await line([gateway("one", { state: "prepared" })], { number: 9, release: B, by: "ann", dryRun: false }),
    /^epoch 5 is served by every live gateway\nrollout 9: release b+ by ann is being prepared$/,
  );
  assert.equal(await line([gateway("one")], null, "unavailable"), "the store is away: what other gateways serve is told as it was known last");
});

test("status shows why the last canary was taken back, until something else is deployed", async (t) => {
  const picture = { share: 500, canary: { units: 73, requests: 74 }, current: { units: 253, requests: 253 }, metrics: [], verdict: "rollback", reason: "5xx" };
  const ended = { release: B, outcome: "rolled-back", because: "breach", reason: "errors: 23 % of the clients", pictures: [picture] };
  const deployed = { gateway: "one", epoch: 5, gateways: [], drift: [], running: null };
  const facts = {
    version: "0",
    release: { id: A, rules: [] },
    workers: [],
    quarantined: [],
    upstreams: [],
    store: { kind: "redis", state: "ready", reason: "" },
  };
  const shown = async (history: readonly object[]): Promise<string> => {
    const answers = { "GET /v1/status": { state: "serving", ...facts, deployed }, "GET /v1/releases": { releases: [], history } };
    return (await said(async (terminal) => status(await answering(t, answers), terminal))).out;
  };
  const told = await shown([{ ended }]);
  assert.match(told, /\n5%:\n {2}73 clients \(74 requests\) on it, 253 \(253\) on what serves\n/);
  assert.match(
    told,
    /\ncanary b+ was taken back by itself: errors: 23 % of the clients\nwhat failed stands in .*; sluice releases preview b+ shows it to you alone\n$/,
  );
  assert.doesNotMatch(await shown([{}, { ended }]), /canary/);
});

test("releases shows that what was deployed was not what was committed", async (t) => {
  const place = await answering(t, { "GET /v1/releases": shelf(["deploy", A]), "GET /v1/shadow": { terms: null, gateways: [] } });
  const { out } = await said((terminal) => releases(place, terminal));
  assert.match(out, /^\* 1 +a{12} .* ann +a{8}\+ +0$/m);
});

test("a broken file that rules import from elsewhere is watched like one that compiled", () => {
  const place = resolveConfig({ upstreams: { a: { targets: ["http://127.0.0.1:9"] } } }, { baseDir: "/shop", file: "" });
  const maps = { "one.ts": JSON.stringify({ sources: ["rules/one.ts", "../shared/a.ts", "../node_modules/x/index.js"] }) };
  const problems = [
    { file: "../shared/b.ts", line: 1, column: 1, text: "", frame: "" },
    { file: "", line: 0, column: 0, text: "", frame: "" },
  ];
  assert.deepEqual(outsideSources({ maps, problems }, { ...place, rulesDir: "/shop/rules" }), new Map([["/shared", new Set(["a.ts", "b.ts"])]]));
});
