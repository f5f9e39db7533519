import assert from "node:assert/strict";
import { test } from "node:test";
import { onRequest, SandboxProcess, type HookOptions } from "./process-harness.ts";

async function seen(body: string, options: HookOptions = {}): Promise<unknown> {
  await using sandbox = await SandboxProcess.with(onRequest(`return respond(200, { seen: (() => { ${body} })() })`));
  const done = await sandbox.hook(options);
  assert.deepEqual(done.failure, null);
  return (JSON.parse(Buffer.from(String(done.effects.at(-1)?.fields.at(-1)), "latin1").toString()) as { seen: unknown }).seen;
}

test("the parts of a request", async () => {
  const options = {
    head: "POST https Shop.Example.com:8443 /a%20b/c?x=1&y=%C3%BC&x=2",
    headers: ['cookie:a=1; b="two"; a=3', "accept:text/html", "accept:*/*"],
    rules: [{ rule: 0, params: { id: "7%2F8" } }],
  };
  assert.deepEqual(await seen(`return [req.method, req.scheme, req.host, req.authority, req.path, req.url, req.params, req.upstream]`, options), [
    ...["POST", "https", "shop.example.com", "Shop.Example.com:8443", "/a%20b/c", "https://Shop.Example.com:8443/a%20b/c?x=1&y=%C3%BC&x=2"],
    { id: "7%2F8" },
    "",
  ]);
  assert.deepEqual(
    await seen(
      `return [req.query.get("x"), req.query.getAll("x"), req.query.get("y"), req.query.get("z"), req.query.has("y"), req.query.size, String(req.query), [...req.query].length]`,
      options,
    ),
    ["1", ["1", "2"], "ü", null, true, 3, "x=1&y=%C3%BC&x=2", 3],
  );
  assert.deepEqual(await seen(`return [req.cookie("a"), req.cookie("b"), req.cookie("c")]`, options), ["1", "two", null]);
  const commas = { headers: ["cookie:a=1,b=2; c=3", "cookie:d=4"] };
  assert.deepEqual(await seen(`return ["a", "b", "c", "d"].map((name) => req.cookie(name))`, commas), ["1,b=2", null, "3", "4"]);
  assert.deepEqual(
    await seen(
      `return [req.headers.get("ACCEPT"), req.headers.get("host"), req.headers.has("x"), [...req.headers].map(([name]) => name), JSON.stringify(req.headers).length > 2]`,
      options,
    ),
    ["text/html, */*", "Shop.Example.com:8443", false, ["host", "cookie", "accept"], true],
  );
});

test("fields as changed are seen at once, whatever the order of reads and writes", async () => {
  const options = { headers: ["a:1", "b:2", "a:3", "aa:4"] };
  const expected = [
    ["host", "shop.example.com"],
    ["a", "x"],
    ["b", "2"],
    ["aa", "4"],
    ["c", "9, 10"],
  ];
  const change = `req.headers.set("A", "x"); req.headers.append("c", 9); req.headers.append("c", " 10\\t"); req.headers.delete("nothing");`;
  assert.deepEqual(await seen(`${change} return [...req.headers]`, options), expected);
  assert.deepEqual(await seen(`[...req.headers]; ${change} return [...req.headers.entries()]`, options), expected);
  assert.deepEqual(
    await seen(
      `req.headers.get("a"); ${change} req.headers.delete("b"); return [req.headers.get("a"), req.headers.get("b"), req.headers.get("aa"), req.headers.get("c")]`,
      options,
    ),
    ["x", null, "4", "9, 10"],
  );
});

test("paths and queries are put on the wire in ASCII, untouched parts keep their spelling", async () => {
  const targets: [body: string, target: string][] = [
    [`req.path = "/ü/a b/<x>"`, "/%C3%BC/a%20b/%3Cx%3E?a=%7E&b"],
    [`req.path = "/%2F/~!$&'()*+,;=:@"`, "/%2F/~!$&'()*+,;=:@?a=%7E&b"],
    [`req.query.append("c", "d e&f")`, "/p?a=%7E&b=&c=d+e%26f"],
    [`req.query.delete("a"); req.query.delete("b")`, "/p"],
    [`req.query.delete("zzz")`, ""],
    [`req.query = "?x=ü y"`, "/p?x=%C3%BC%20y"],
    [`req.query = ""`, "/p"],
    [`req.query.set("a", "1"); req.path = "/q"; req.query.sort()`, "/q?a=1&b="],
    [`req.path = "/x"; req.path = "/p"`, ""],
  ];
  await using sandbox = await SandboxProcess.with(...targets.map(([body]) => onRequest(body)));
  for (const [index, [body, target]] of targets.entries()) {
    const done = await sandbox.hook({ head: "GET http h /p?a=%7E&b", rules: [{ rule: index }] });
    assert.equal(done.effects.find(({ kind }) => kind === "TARGET")?.fields[0] ?? "", target, body);
  }
});

test("what cannot be a method, path or upstream is refused", async () => {
  const bad = [
    `req.method = "GET /"`,
    `req.method = ""`,
    `req.method = "CONNECT"`,
    `req.method = 1`,
    `req.path = "x"`,
    `req.path = "/a?b"`,
    `req.path = "/a#b"`,
    `req.path = null`,
    `req.upstream = ""`,
    `req.upstream = "a\\nb"`,
    `req.url = "/x"`,
    `req.host = "x"`,
  ];
  await using sandbox = await SandboxProcess.with(...bad.map((body) => onRequest(`"use strict"; ${body}`)));
  for (const [index, body] of bad.entries()) {
    const done = await sandbox.hook({ rules: [{ rule: index }] });
    assert.match(done.failure?.message ?? "", /^TypeError/, body);
    assert.deepEqual(done.effects, []);
  }
});
