import assert from "node:assert/strict";
import { test } from "node:test";
import { Fields } from "../../runtime/proxy/fields.ts";
import { Stage } from "./stage.ts";

const FRESH = ["cache-control", "max-age=60"] as const;

test("a new visitor's Set-Cookie is not stored, and the next visitor's answer is", async () => {
  const stage = new Stage((request) => ({ fields: request.has("cookie") ? Fields.of(FRESH) : Fields.of(FRESH, ["set-cookie", "sid=1"]) }));
  const first = await stage.get(new Fields());
  assert.equal(first.fields.get("set-cookie"), "sid=1");
  const second = await stage.get(Fields.of(["cookie", "sid=1"]));
  assert.equal(second.fields.has("set-cookie"), false);
  const third = await stage.get(new Fields());
  assert.equal(third.from, "cache");
  assert.equal(stage.asked.length, 2);
});

test("a client that sends Authorization can't keep others from the cache", async () => {
  const stage = new Stage(() => ({ fields: Fields.of(FRESH) }));
  const token = Fields.of(["authorization", "Bearer x"]);
  await stage.get(token);
  // The second one asks for itself at once: nobody with a token waits for anybody.
  await stage.get(token);
  assert.deepEqual(stage.asked, ["lead", "pass"]);
  await stage.get(new Fields());
  assert.equal((await stage.get(new Fields())).from, "cache");
  assert.deepEqual(stage.asked, ["lead", "pass", "lead"]);
});

test("the client whose request fills the cache gets the fields that are not stored; the others don't", async () => {
  const stage = new Stage(() => ({ fields: Fields.of(["cache-control", 'max-age=60, private="x-user"'], ["x-user", "ann"]) }));
  assert.equal((await stage.get(new Fields())).fields.get("x-user"), "ann");
  const next = await stage.get(new Fields());
  assert.equal(next.from, "cache");
  assert.equal(next.fields.has("x-user"), false);
});

test("a HEAD after expiry renews what it agrees with, and drops what it doesn't (RFC 9111 section 4.3.5)", async () => {
  let etag = '"1"';
  const stage = new Stage(() => ({ fields: Fields.of(FRESH, ["etag", etag]), body: "page" }));
  await stage.get(new Fields());
  stage.clock.advance(61_000);
  await stage.get(new Fields(), "HEAD");
  assert.equal((await stage.get(new Fields())).from, "cache");
  assert.deepEqual(stage.asked, ["lead", "lead"]);

  stage.clock.advance(61_000);
  etag = '"2"';
  await stage.get(new Fields(), "HEAD");
  assert.equal((await stage.get(new Fields())).fields.get("etag"), '"2"');
  assert.deepEqual(stage.asked, ["lead", "lead", "lead", "lead"]);
});
