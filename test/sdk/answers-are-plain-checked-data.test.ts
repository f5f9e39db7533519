import assert from "node:assert/strict";
import { test } from "node:test";
import { next, redirect, respond } from "sluice";

test("a string is text, bytes are bytes, any other value is JSON", () => {
  assert.deepEqual({ ...respond(200, "hi") }, { kind: "respond", status: 200, headers: [["content-type", "text/plain;charset=UTF-8"]], body: "hi" });
  assert.deepEqual({ ...respond(200, { a: [1] }) }, { kind: "respond", status: 200, headers: [["content-type", "application/json"]], body: '{"a":[1]}' });
  assert.deepEqual(respond(200, new Uint8Array([1, 2])).headers, []);
  assert.deepEqual([...(respond(200, new Uint8Array([1, 2, 3]).buffer).body as Uint8Array)], [1, 2, 3]);
  assert.equal(respond(200, false).body, "false");
  assert.equal(respond(204).body, null);
  assert.equal(respond(401, null).body, null);
});

test("headers come from records, pairs and Headers; repeated ones stay repeated", () => {
  assert.deepEqual(respond(200, "x", { "Content-Type": "text/html", "Set-Cookie": ["a=1", "b=2"] }).headers, [
    ["content-type", "text/html"],
    ["set-cookie", "a=1"],
    ["set-cookie", "b=2"],
  ]);
  assert.deepEqual(respond(200, "", new Map([["X-A", " 1 "]])).headers, [
    ["x-a", "1"],
    ["content-type", "text/plain;charset=UTF-8"],
  ]);
  const headers = new Headers([
    ["set-cookie", "a=1"],
    ["set-cookie", "b=2"],
  ]);
  assert.deepEqual(respond(204, undefined, headers).headers, [
    ["set-cookie", "a=1"],
    ["set-cookie", "b=2"],
  ]);
});

test("what can't stand on a wire is refused where it was written", () => {
  for (const value of ["a\r\nb: c", "a\nb", "a\0b", "\u010d\u010a", "\u20ac"]) assert.throws(() => respond(200, "", { "x-a": value }), TypeError);
  for (const name of ["", "a b", "a:b", "ä", "a\n"]) assert.throws(() => respond(200, "", { [name]: "1" }), TypeError);
  for (const status of [0, 101, 199, 600, 200.5, Number.NaN]) assert.throws(() => respond(status), RangeError);
  assert.throws(() => respond(204, "x"), TypeError);
  assert.throws(() => respond(200, () => {}), TypeError);
  assert.throws(() => respond("200" as unknown as number), RangeError);
});

test("a redirect's location can't break the line, whatever stands in it", () => {
  assert.deepEqual(redirect("/new").headers, [["location", "/new"]]);
  assert.equal(redirect("/new").status, 302);
  assert.equal(redirect(new URL("https://a.example/ü"), 308).headers[0]![1], "https://a.example/%C3%BC");
  assert.equal(redirect("/ä b\r\nset-cookie: x\ud800").headers[0]![1], "/%C3%A4%20b%0D%0Aset-cookie:%20x%EF%BF%BD");
  assert.throws(() => redirect("/x", 200 as 302), RangeError);
  assert.throws(() => redirect(""), TypeError);
  assert.throws(() => redirect(undefined as unknown as string), TypeError);
});

test("answers are frozen", () => {
  const answer = respond(200, "x", { a: "b" });
  for (const value of [answer, answer.headers, answer.headers[0], next, redirect("/")]) assert.ok(Object.isFrozen(value));
});
