import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import type { ReleasesConfig } from "../../runtime/config/resolved.ts";
import { LAST_GOOD_FILE, readLastGood, writeLastGood } from "../../runtime/control/last-good.ts";
import { PackageError, packageOf, type ReleasePackage } from "../../runtime/control/release-package.ts";
import { ReleaseShelf, type Head } from "../../runtime/control/release-shelf.ts";
import { checkSignature, sign } from "../../runtime/control/signatures.ts";
import { createMemoryStore } from "../../runtime/store/store.ts";
import { CANARY, NO_CONFIG, packed, releaseOf, UNSIGNED } from "./fleet-of-followers.ts";

function keyPair(): { readonly privateKey: string; readonly pem: string } {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  return { privateKey: privateKey.export({ type: "pkcs8", format: "pem" }).toString(), pem: publicKey.export({ type: "spki", format: "pem" }).toString() };
}

const NOW = Date.UTC(2026, 10, 1);
const [mine, next, strange] = [keyPair(), keyPair(), keyPair()];
const signed = (release: ReleasePackage) => sign(release, mine.privateKey);
const config = (overrides: Partial<ReleasesConfig> = {}): ReleasesConfig => ({
  requireSigned: true,
  keys: [{ pem: mine.pem, notAfterUnixMs: null }],
  kept: 100,
  canary: CANARY,
  ...overrides,
});

async function reason(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "";
  } catch (thrown) {
    assert.ok(thrown instanceof PackageError, String(thrown));
    return thrown.message.replaceAll(/key [\w-]{43}/g, "key KID");
  }
}

test("a signature of a named key is taken, also while keys rotate; every other is refused with its reason", async () => {
  const release = await signed(packed("two"));
  assert.match(await checkSignature(release, config(), NOW), /^[\w-]{43}$/);
  const both = config({
    keys: [
      { pem: next.pem, notAfterUnixMs: null },
      { pem: mine.pem, notAfterUnixMs: NOW + 1 },
    ],
  });
  assert.match(await checkSignature(release, both, NOW), /^[\w-]{43}$/);
  assert.equal(await reason(checkSignature(release, both, NOW + 1)), "it is signed with the key KID, which expired on 2026-11-01");
  assert.equal(await reason(checkSignature(packed("two"), config(), NOW)), "it is not signed, and releases.requireSigned is true");
  assert.equal(
    await reason(checkSignature(await sign(packed("two"), strange.privateKey), config(), NOW)),
    "it is signed with the key KID, which releases.keys does not name",
  );
  const moved = { ...packed("three"), signature: release.signature };
  assert.equal(await reason(checkSignature(moved, config(), NOW)), "its signature is about another release");
  const [head, payload, signature] = release.signature.split(".") as [string, string, string];
  const flipped = `${signature[0] === "A" ? "B" : "A"}${signature.slice(1)}`;
  assert.equal(
    await reason(checkSignature({ ...release, signature: `${head}.${payload}.${flipped}` }, config(), NOW)),
    "its signature does not verify with the key KID",
  );
  assert.equal(await reason(checkSignature({ ...release, signature: "nonsense" }, config(), NOW)), "its signature is none");
});

test("message, author and commit are part of what is signed", async () => {
  const release = await signed(packed("two", "mend the shop"));
  for (const change of [{ message: "harmless" }, { author: "root" }, { commit: "abc" }, { builtUnixMs: 2 }])
    assert.equal(await reason(checkSignature({ ...release, ...change }, config(), NOW)), "its signature is about another release");
});

function shelf(t: TestContext, releases: ReleasesConfig = UNSIGNED) {
  const store = createMemoryStore();
  t.after(() => store.close());
  return {
    store,
    shelf: new ReleaseShelf(
      () => store,
      () => releases,
      () => NOW,
    ),
  };
}

test("a release comes back from the store as it went in, once, whoever hands it in again", async (t) => {
  const { shelf: one } = shelf(t);
  const maps = { "a.ts": '{"version":3}' };
  const release = packageOf(releaseOf("two"), NO_CONFIG, maps, { author: "a", message: "first", commit: "c", builtUnixMs: 5 });
  assert.equal((await one.put(release, maps)).fresh, true);
  const again = await one.put({ ...release, message: "another word for it" }, maps);
  assert.deepEqual([again.fresh, again.entry.message], [false, "first"]);
  const taken = await one.take(release.release.id);
  assert.deepEqual([taken?.release, taken?.maps], [release, maps]);
  assert.equal(await one.take("0123456789ab"), null);
});

test("what was changed on its way or in the store is refused: code, manifest, id, source maps, any bit", async (t) => {
  const { shelf: one, store } = shelf(t);
  const release = packed("two");
  const { id } = release.release;
  const [rule] = release.release.rules;
  const other = (change: object) => ({ ...release, release: { ...release.release, ...change } });
  assert.match(await reason(one.put(other({ rules: [{ ...rule, code: "tw0" }] }), {})), /^its content has the digest [0-9a-f]{12}…, it claims /);
  assert.match(
    await reason(one.put(other({ rules: [{ ...rule, manifest: { ...rule!.manifest, services: ["fetch"] } }] }), {})),
    /^its content has the digest /,
  );
  assert.equal(await reason(one.put(other({ id: "0123456789ab" }), {})), `its content makes it ${id}, it claims to be 0123456789ab`);
  assert.equal(await reason(one.put(release, { "a.ts": "{}" })), "its source maps do not have the digest it claims");
  assert.match(await reason(one.put({ ...release, extra: 1 }, {})), /^it is no release: /);
  await one.put(release, {});
  const stored = (await store.get(`control:release:${id}`))!;
  let refused = 0;
  for (let at = 10; at < stored.length; at += 37) {
    const bytes = Buffer.from(stored);
    bytes[at]! ^= 1;
    await store.set(`control:release:${id}`, bytes, { ttlMs: null });
    if ((await reason(one.take(id))) !== "") refused++;
  }
  assert.equal(refused, Math.ceil((stored.length - 10) / 37));
});

test("the oldest releases go first; what serves and what served before it stay", async (t) => {
  const { shelf: one } = shelf(t, { ...UNSIGNED, kept: 3 });
  for (const code of ["1", "2", "3", "4", "5"]) await one.put(packed(code), {});
  assert.deepEqual(
    (await one.list()).releases.map(({ id }) => id),
    ["3", "4", "5"].map((code) => releaseOf(code).id),
  );
  assert.equal(await one.take(releaseOf("1").id), null);
});

test("the last good release on the disk is believed only as it was written", async (t) => {
  const dir = mkdtempSync(path.join(tmpdir(), "sluice-last-good-"));
  t.after(() => rmSync(dir, { recursive: true }));
  assert.equal(await readLastGood(dir, UNSIGNED), null);
  const release = packed("two");
  const head: Head = { epoch: 7, release: release.release.id, digest: release.digest, kind: "deploy", by: "a", message: "", atUnixMs: 1, rollout: 1 };
  await writeLastGood(dir, { head, release, maps: {}, signedBy: "" });
  assert.deepEqual(await readLastGood(dir, UNSIGNED), { head, release, maps: {}, signedBy: "" });
  assert.equal(await reason(readLastGood(dir, config())), "it is not signed, and releases.requireSigned is true");
  const file = path.join(dir, LAST_GOOD_FILE);
  const text = readFileSync(file, "utf8");
  // A key that expires takes nothing away that it brought before.
  await writeLastGood(dir, { head, release: await signed(release), maps: {}, signedBy: "" });
  const expiring = config({ keys: [{ pem: mine.pem, notAfterUnixMs: NOW }] });
  utimesSync(file, (NOW - 1) / 1000, (NOW - 1) / 1000);
  assert.match((await readLastGood(dir, expiring))!.signedBy, /^[\w-]{43}$/);
  utimesSync(file, NOW / 1000, NOW / 1000);
  assert.equal(await reason(readLastGood(dir, expiring)), "it is signed with the key KID, which expired on 2026-11-01");
  writeFileSync(file, text.replace('"code":"two"', '"code":"tw0"'));
  assert.match(await reason(readLastGood(dir, UNSIGNED)), /^its content has the digest /);
  writeFileSync(file, text.slice(0, -20));
  assert.equal(await reason(readLastGood(dir, UNSIGNED)), `${LAST_GOOD_FILE} is no JSON`);
});
