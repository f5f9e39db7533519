import assert from "node:assert/strict";
import { generateKeyPairSync, type KeyObject } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { AUDIT_FILE, readAudit } from "../../runtime/control/audit.ts";
import { LAST_GOOD_FILE } from "../../runtime/control/last-good.ts";
import { ask, openStage, saying } from "./deploy-stage.ts";
import { until } from "../support/until.ts";

test("one gateway: plan, deploy, roll back, and a restart that remembers, with the machine that built it gone", async (t) => {
  const stage = openStage(t);
  const gateway = await stage.gateway("edge");
  assert.equal((await stage.sluice(gateway, ["releases"])).out.split("(")[0], "nothing was deployed yet; this gateway serves what lies in its rules folder ");
  assert.equal((await stage.sluice(gateway, ["plan"])).code, 0, "no rules here, none there");

  stage.rule("say.ts", saying("one"));
  const planned = await stage.sluice(gateway, ["plan"]);
  assert.equal(planned.code, 2);
  assert.match(planned.out, /\+ rule say\.ts: onRequest for every request, order 0, fails closed \(503\)/);
  const first = await stage.sluice(gateway, ["deploy", "--wait", "--message", "the first"]);
  assert.equal(first.code, 0, first.out + first.err);
  assert.match(first.out, /^[\w.-]+-[0-9a-f]{6} +serving +1 +[0-9a-f]{12}$/m);
  const one = await ask(gateway);
  assert.equal(one.text, "one");
  assert.equal((await stage.sluice(gateway, ["plan"])).code, 0, "the same input gives an empty plan");

  stage.rule("say.ts", saying("two").replace("onRequest() {", 'async onRequest(req, ctx) { await ctx.fetch("https://api.example.com/x"); await req.text();'));
  const told = JSON.parse((await stage.sluice(gateway, ["plan", "--json"])).out) as { from: string; changes: { about: string; text: string }[] };
  assert.equal(told.from, one.release);
  assert.deepEqual(
    told.changes.filter(({ about }) => about === "capability").map(({ text }) => text),
    ["new: may call out (ctx.fetch)", "new: may read request bodies", "new: names https://api.example.com, which config does not allow it to fetch"],
  );
  stage.rule("say.ts", saying("two"));
  assert.equal((await stage.sluice(gateway, ["deploy", "--dry-run", "--message", "a try"])).code, 0);
  const second = JSON.parse((await stage.sluice(gateway, ["deploy", "--wait", "--json", "--message", "the second"])).out) as {
    state: string;
    epoch: number;
    gateways: { state: string }[];
  };
  assert.deepEqual([second.state, second.epoch, second.gateways.map(({ state }) => state)], ["serving", 2, ["serving"]]);
  assert.equal((await ask(gateway)).text, "two");

  const outdated = await stage.sluice(gateway, ["deploy", "--base", "1"]);
  assert.equal(outdated.code, 1);
  assert.match(outdated.err, /BASE_OUTDATED: found a rollout based on epoch 1, expected one based on what serves now: epoch 2: release [0-9a-f]{12} by admin/);

  const tsconfig = path.join(stage.dir, "project/tsconfig.json");
  writeFileSync(tsconfig, '{ "compilerOptions": { "module": "esnext", "target": "esnext", "types": [] }, "include": ["rules"] }');
  stage.rule("say.ts", `const two: number = "three"; console.log(two); ${saying("three")}`);
  for (const command of ["plan", "deploy"]) {
    const refused = await stage.sluice(gateway, [command]);
    assert.equal(refused.code, 1, command);
    assert.match(refused.out + refused.err, /say\.ts:1:7: TS2322/, "what can't be deployed is not planned either");
  }
  rmSync(tsconfig);

  stage.rule("say.ts", null);
  const back = await stage.sluice(gateway, ["rollback", "--wait"]);
  assert.equal(back.code, 0, back.out + back.err);
  assert.deepEqual(await ask(gateway), one);
  const listed = await stage.sluice(gateway, ["releases"]);
  assert.match(listed.out, new RegExp(`^\\* 3 +${one.release} .* the first$`, "m"));
  assert.match(listed.out, /^  2 +[0-9a-f]{12} .* the second$/m, "as it was deployed, not as it was tried");

  await gateway.end("SIGTERM");
  // What lies in the rules folder counts for nothing any more, not even when it is broken.
  writeFileSync(path.join(gateway.dir, "rules", "broken.ts"), "export default {");
  const again = await stage.gateway("edge");
  assert.deepEqual(await ask(again), one);
  await until(async () => /"event":"own-rules-refused".*broken\.ts/.test(again.output()));
  const status = await stage.sluice(again, ["status"]);
  assert.match(status.out, new RegExp(`^serving, release ${one.release} \\(epoch 3\\)`));
  assert.equal(readAudit(path.join(again.dir, ".sluice", AUDIT_FILE)).problem, "");
});

test("who lacks a role or a sound signature, or changed a bit on the way, is refused with the reason, and all of it is in the audit log", async (t) => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const strange = generateKeyPairSync("ed25519");
  const old = generateKeyPairSync("ed25519");
  const pem = ({ publicKey }: { publicKey: KeyObject }) => publicKey.export({ type: "spki", format: "pem" }).toString();
  const stage = openStage(t);
  const keyFile = path.join(stage.dir, "key.pem");
  const strangeFile = path.join(stage.dir, "strange.pem");
  writeFileSync(keyFile, privateKey.export({ type: "pkcs8", format: "pem" }));
  writeFileSync(strangeFile, strange.privateKey.export({ type: "pkcs8", format: "pem" }));
  const oldFile = path.join(stage.dir, "old.pem");
  writeFileSync(oldFile, old.privateKey.export({ type: "pkcs8", format: "pem" }));
  writeFileSync(path.join(stage.dir, "reader"), "reader-token-0123456789");
  writeFileSync(path.join(stage.dir, "uploader"), "uploader-token-0123456789");
  const token = (name: string, ...roles: string[]) => ({ name, roles, token: { file: path.join(stage.dir, name) } });
  const gateway = await stage.gateway("edge", {
    releases: { requireSigned: true, keys: [{ publicKey: pem({ publicKey }) }, { publicKey: pem(old), notAfter: "2025-01-01" }] },
    admin: { host: "127.0.0.1", port: 0, tokens: [token("reader", "read"), token("uploader", "read", "upload")] },
  });
  stage.rule("say.ts", saying("one"));

  const refused = async (args: readonly string[], as?: string): Promise<string> => {
    const { code, err } = await stage.sluice(gateway, ["deploy", "--wait", ...args], as);
    assert.equal(code, 1);
    return err.trim();
  };
  const { api } = stage;
  assert.match(await refused([], "reader-token-0123456789"), /ROLE_MISSING: found the token "reader" with read, expected one with the role upload$/);
  assert.match(
    await refused(["--sign-key", keyFile], "uploader-token-0123456789"),
    /ROLE_MISSING: found the token "uploader" with read, upload, expected one with the role activate$/,
  );
  assert.match(await refused([], "no-token-that-is-known"), /UNAUTHORIZED/);
  assert.match(await refused([]), /RELEASE_REFUSED: found it is not signed, and releases\.requireSigned is true/);
  assert.match(await refused(["--sign-key", strangeFile]), /RELEASE_REFUSED: found it is signed with the key [\w-]{43}, which releases\.keys does not name/);
  assert.match(await refused(["--sign-key", oldFile]), /RELEASE_REFUSED: found it is signed with the key [\w-]{43}, which expired on 2025-01-01/);
  assert.deepEqual((await api(gateway, "/v1/rollouts", { release: "0123456789ab", base: 0 })).value["code"], "RELEASE_UNKNOWN");
  assert.equal((await ask(gateway)).status, 502, "nothing was activated: the origin is asked, and there is none");

  const done = await stage.sluice(gateway, ["deploy", "--wait", "--sign-key", keyFile]);
  assert.equal(done.code, 0, done.out + done.err);
  assert.equal((await ask(gateway)).text, "one");
  assert.match((await stage.sluice(gateway, ["releases"])).out, /signed/);
  const kept = readFileSync(path.join(gateway.dir, ".sluice", LAST_GOOD_FILE), "utf8");
  const flipped = JSON.parse(kept.replace('\\"one\\"', '\\"onf\\"')) as { release: object; maps: object };
  const changed = await api(gateway, "/v1/releases", { package: flipped.release, maps: flipped.maps });
  assert.deepEqual([changed.status, changed.value["code"]], [422, "RELEASE_REFUSED"]);

  const { entries, problem } = readAudit(path.join(gateway.dir, ".sluice", AUDIT_FILE));
  assert.equal(problem, "");
  const told = entries.map(
    ({ actor, action, outcome, reason }) =>
      `${actor || "?"}: ${action}: ${outcome}${reason === "" ? "" : ` (${reason.replaceAll(/key [\w-]{43}/g, "key KID").replaceAll(/[0-9a-f]{12}…/g, "DIGEST")})`}`,
  );
  for (const line of [
    'reader: POST /v1/releases: refused (ROLE_MISSING: the token "reader" with read)',
    "uploader: POST /v1/releases: done",
    'uploader: POST /v1/rollouts: refused (ROLE_MISSING: the token "uploader" with read, upload)',
    "?: GET /v1/releases: refused (UNAUTHORIZED: an Authorization that does not fit)",
    "admin: POST /v1/releases: refused (RELEASE_REFUSED: it is not signed, and releases.requireSigned is true)",
    "admin: POST /v1/releases: refused (RELEASE_REFUSED: it is signed with the key KID, which releases.keys does not name)",
    "admin: POST /v1/releases: refused (RELEASE_REFUSED: it is signed with the key KID, which expired on 2025-01-01)",
    "admin: POST /v1/releases: refused (RELEASE_REFUSED: its content has the digest DIGEST, it claims DIGEST)",
    "admin: POST /v1/rollouts: refused (RELEASE_UNKNOWN: 0123456789ab)",
    "admin: POST /v1/rollouts: done",
    "admin: deploy: done",
  ])
    assert.ok(told.includes(line), `${line} in\n${told.join("\n")}`);
  assert.ok(!readFileSync(path.join(gateway.dir, ".sluice", AUDIT_FILE), "utf8").includes("reader-token"));

  // What lies in the rules folder does not stand in for what was deployed.
  await gateway.end("SIGTERM");
  const file = path.join(gateway.dir, ".sluice", LAST_GOOD_FILE);
  rmSync(path.join(gateway.dir, ".sluice/store"), { recursive: true });
  writeFileSync(file, kept.replace('\\"one\\"', '\\"onf\\"'));
  await assert.rejects(
    stage.gateway("edge"),
    /what was deployed here cannot be served \(the last good release on this disk: its content has the digest .*\), and the rules/,
  );
  rmSync(file);
  assert.equal((await ask(await stage.gateway("edge"))).status, 502, "asked for, it begins from the rules folder, which is empty");
});
