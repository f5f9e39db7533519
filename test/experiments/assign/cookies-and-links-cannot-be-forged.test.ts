import assert from "node:assert/strict";
import { test } from "node:test";
import type { SealKeys, StickyEntry } from "../../../runtime/experiments/assign/assign.ts";
import {
  QA_LIFETIME_LIMIT_MS,
  readSticky,
  readVisitor,
  remember,
  signQaToken,
  STICKY_COOKIE,
  stickyCookie,
  StickyReader,
  verifyQaToken,
  VISITOR_COOKIE,
  visitorCookie,
  visitorIdOf,
  VisitorReader,
} from "../../../runtime/experiments/assign/assign.ts";

const keys: SealKeys = [Buffer.alloc(32, 1)];
const rotated: SealKeys = [Buffer.alloc(32, 2), Buffer.alloc(32, 1)];
const strange: SealKeys = [Buffer.alloc(32, 3)];
const id = visitorIdOf(Uint8Array.from({ length: 16 }, (_, i) => i * 17));
const valueOf = (setCookie: string) => /^[^=]+=([^;]*)/.exec(setCookie)![1]!;
const NOW_MS = Date.UTC(2026, 5, 1);

test("the visitor cookie is Secure exactly over https, and always HttpOnly and SameSite=Lax", () => {
  for (const https of [true, false]) {
    const attributes = visitorCookie(id, keys, https).split("; ").slice(1);
    assert.deepEqual(attributes, ["Path=/", "Max-Age=34560000", "HttpOnly", "SameSite=Lax", ...(https ? ["Secure"] : [])]);
  }
});

test("each cookie goes by the name that it is looked for", () => {
  assert.ok(visitorCookie(id, keys, true).startsWith(`${VISITOR_COOKIE}=`));
  assert.ok(stickyCookie([], keys, true).startsWith(`${STICKY_COOKIE}=`));
});

test("a visitor comes back under its 128-bit id, also when the key was replaced", () => {
  const value = valueOf(visitorCookie(id, keys, true));
  assert.equal(Buffer.from(id, "base64url").length, 16);
  assert.equal(readVisitor(value, keys), id);
  assert.equal(readVisitor(value, rotated), id);
  assert.throws(() => visitorIdOf(new Uint8Array(15)), RangeError);
});

test("no other text is a visitor: not one changed character, not a stranger's seal, not a cookie of another purpose", () => {
  const value = valueOf(visitorCookie(id, keys, true));
  for (let i = 0; i < value.length; i++) assert.equal(readVisitor(value.slice(0, i) + (value[i] === "A" ? "B" : "A") + value.slice(i + 1), keys), null);
  assert.equal(readVisitor(value, strange), null);
  for (const text of [null, "", ".", id, `${id}.`, `${value}=`, `${value}.x`, "x".repeat(100_000)]) assert.equal(readVisitor(text, keys), null);
  const sticky = valueOf(stickyCookie([], keys, true));
  assert.equal(readVisitor(sticky, keys), null);
});

test("a reader that remembers says the same as one that does not, and forgets rather than grows", () => {
  const reader = new VisitorReader(keys);
  const random = (i: number) => visitorIdOf(Uint8Array.from({ length: 16 }, (_, k) => (k < 4 ? (i >>> (8 * k)) & 255 : 1)));
  const cookies = Array.from({ length: 60_000 }, (_, i) => valueOf(visitorCookie(random(i), keys, true)));
  for (const [i, value] of [...cookies.entries(), ...cookies.entries()]) assert.equal(reader.read(value), random(i));
  const value = cookies[7]!;
  assert.equal(reader.read(value), random(7));
  for (const text of [null, "", `${value}x`, value.slice(1), `A${value.slice(1)}`, valueOf(visitorCookie(id, strange, true))])
    assert.equal(reader.read(text), null);
});

test("sticky entries come back as they were, whatever their keys hold; forged ones are none", () => {
  const entries: StickyEntry[] = [
    { unitTag: "k3", experiment: "hero-copy", bucketVersion: 0, variant: "bold" },
    { unitTag: "k3", experiment: "a~b|c; d=é", bucketVersion: 12, variant: "~" },
  ];
  const value = valueOf(stickyCookie(entries, keys, false));
  assert.match(value, /^[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*$/, "cookie-octets of RFC 6265 section 4.1.1");
  assert.deepEqual(readSticky(value, keys), entries);
  const reader = new StickyReader(keys);
  for (let round = 0; round < 2; round++) assert.deepEqual(reader.read(value), entries);
  for (const text of [null, "", `${value}x`, value.replace("bold", "bald"), "x".repeat(100_000)]) assert.deepEqual(reader.read(text), []);
  assert.deepEqual(readSticky(value, strange), []);
  assert.deepEqual(readSticky(value.replace("bold", "bald"), keys), []);
  assert.deepEqual(readSticky(valueOf(stickyCookie([], keys, true)), keys), []);
});

test("the sticky cookie stays within what browsers keep, the newest entries in it", () => {
  let entries: readonly StickyEntry[] = [];
  for (let i = 0; i < 100; i++)
    entries = remember(entries, { unitTag: "k3", experiment: `experiment-${i}-${"x".repeat(150)}`, bucketVersion: 0, variant: "bold" });
  assert.equal(entries.length, 32);
  const cookie = stickyCookie(entries, keys, true);
  assert.ok(cookie.length <= 4096, `${cookie.length}`);
  const read = readSticky(valueOf(cookie), keys);
  assert.ok(read.length > 10);
  assert.deepEqual(read, entries.slice(-read.length));
  const again = remember(entries, { ...entries[5]!, variant: "control" });
  assert.equal(again.length, 32);
  assert.equal(again.at(-1)!.variant, "control");
});

test("a QA link forces its variants until it expires, with this gateway's key only", () => {
  const forced = { variants: { "hero-copy": "bold", käse: "mild" }, expiresAtMs: NOW_MS + 60_000 };
  const token = signQaToken(forced, keys, NOW_MS);
  assert.match(token, /^[A-Za-z0-9_.-]+$/, "goes into a query as it is");
  assert.deepEqual(verifyQaToken(token, keys, NOW_MS + 59_999), { outcome: "valid", forced });
  assert.deepEqual(verifyQaToken(token, rotated, NOW_MS), { outcome: "valid", forced });
  assert.deepEqual(verifyQaToken(token, keys, NOW_MS + 60_000), { outcome: "expired" });
  assert.deepEqual(verifyQaToken(token, strange, NOW_MS), { outcome: "invalid" });
  for (let i = 0; i < token.length; i++) {
    assert.deepEqual(verifyQaToken(token.slice(0, i) + (token[i] === "A" ? "B" : "A") + token.slice(i + 1), keys, NOW_MS), { outcome: "invalid" });
  }
  for (const text of ["", ".", "x".repeat(5000), valueOf(visitorCookie(id, keys, true))])
    assert.deepEqual(verifyQaToken(text, keys, NOW_MS), { outcome: "invalid" });
});

test("no QA link is made that never ends, or forces nothing", () => {
  const variants = { "hero-copy": "bold" };
  for (const expiresAtMs of [NOW_MS, NOW_MS + QA_LIFETIME_LIMIT_MS + 1, Number.NaN, Number.POSITIVE_INFINITY])
    assert.throws(() => signQaToken({ variants, expiresAtMs }, keys, NOW_MS), RangeError);
  assert.throws(() => signQaToken({ variants: {}, expiresAtMs: NOW_MS + 1 }, keys, NOW_MS), RangeError);
});
