import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { cookieOf, type KeyPart, keyOf, keyOfText, networkOf } from "../../runtime/ratelimit/keys.ts";

const request = (fields: Record<string, string> = {}, path = "/", host = "shop.example.com") => ({
  path,
  host,
  fields: { joined: (name: string) => fields[name] },
});
const address: KeyPart = { kind: "address", ipv4: 32, ipv6: 64 };

test("an IPv6 address counts by its network, an IPv4 address by itself, in whatever clothes it comes", () => {
  assert.equal(networkOf("192.0.2.7", 32, 64), "192.0.2.7");
  assert.equal(networkOf("::ffff:192.0.2.7", 32, 64), "192.0.2.7");
  assert.equal(networkOf("192.0.2.7", 24, 64), "192.0.2.0/24");
  assert.equal(networkOf("2001:db8:1:2:3:4:5:6", 32, 64), "2001:db8:1:2::/64");
  assert.equal(networkOf("2001:0DB8:1:2::1", 32, 64), networkOf("2001:db8:1:2:ffff::", 32, 64));
  assert.notEqual(networkOf("2001:db8:1:2::", 32, 64), networkOf("2001:db8:1:3::", 32, 64));
  assert.equal(networkOf("2001:db8:1:2::1", 32, 56), "2001:db8:1::/56");
  assert.equal(networkOf("2001:db8:1:ff::1", 32, 60), "2001:db8:1:f0::/60");
  assert.equal(networkOf("2001:db8::1", 32, 128), "2001:db8::1");
});

test("what is no address is still a key", () => {
  assert.equal(networkOf("unknown", 32, 64), "unknown");
  assert.match(networkOf("_hidden:{x}", 32, 64), /^#/);
});

test("headers and cookies, which may be credentials, are only known by a digest", () => {
  const key = keyOf([{ kind: "header", name: "x-api-key" }], "", request({ "x-api-key": "secret" }));
  assert.match(key, /^#[\w-]{22}$/);
  assert.equal(key, keyOf([{ kind: "header", name: "x-api-key" }], "", request({ "x-api-key": "secret" })));
  const cookie = keyOf([{ kind: "cookie", name: "sid" }], "", request({ cookie: "a=1; sid=secret" }));
  assert.equal(cookie, key, "the same value, whichever way it came");
});

test("requests without the header count together, and not with those that have an empty one", () => {
  const part: KeyPart = { kind: "header", name: "x-api-key" };
  assert.equal(keyOf([part], "", request()), "");
  assert.notEqual(keyOf([part], "", request({ "x-api-key": "" })), "");
});

test("no part counts all together; several parts stand beside each other", () => {
  assert.equal(keyOf([], "192.0.2.1", request()), "");
  assert.equal(keyOf([address, { kind: "path" }, { kind: "host" }], "192.0.2.1", request({}, "/a")), "192.0.2.1,/a,shop.example.com");
});

test("different texts are different keys, and every key is short and fit to stand in the store", () => {
  const texts = fc.oneof(fc.string({ unit: "binary", maxLength: 200 }), fc.constantFrom("#abc", "a,b", "{a}", "a b", "", "a".repeat(64), "a".repeat(65)));
  fc.assert(
    fc.property(texts, texts, (a, b) => {
      for (const key of [keyOfText(a), keyOfText(b)]) assert.match(key, /^[\w.:@/+=%~#-]{0,64}$/);
      assert.equal(keyOfText(a) === keyOfText(b), a === b);
    }),
  );
});

test("parts of different requests never run together", () => {
  const parts: KeyPart[] = [{ kind: "path" }, { kind: "header", name: "h" }, { kind: "host" }];
  const some = fc.record({ path: fc.string(), host: fc.string(), h: fc.option(fc.string(), { nil: undefined }) });
  const key = ({ path, host, h }: { path: string; host: string; h: string | undefined }) => keyOf(parts, "", request(h === undefined ? {} : { h }, path, host));
  fc.assert(fc.property(some, some, (a, b) => assert.equal(key(a) === key(b), a.path === b.path && a.host === b.host && a.h === b.h)));
});

test("the first cookie of a name counts, and only a whole name is one", () => {
  assert.equal(cookieOf("sid=1; sid=2", "sid"), "1");
  assert.equal(cookieOf("xsid=1; sid2=2;sid=3", "sid"), "3");
  assert.equal(cookieOf("sid", "sid"), undefined);
  assert.equal(cookieOf("a=b; sid=x=y ; c", "sid"), "x=y");
  assert.equal(cookieOf(undefined, "sid"), undefined);
});
