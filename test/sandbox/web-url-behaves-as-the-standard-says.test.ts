import assert from "node:assert/strict";
import { after, test } from "node:test";
import { createWebContext } from "./web-context.ts";

const web = await createWebContext();
after(() => web.dispose());

test("components, origin and relative references", async () => {
  const found = await web.run(`
    const url = new URL("../x?a=1#h", "https://us:pw@EXAMPLE.com:8080/a/b/");
    return [url.href, url.origin, url.username, url.password, url.host, url.hostname, url.port, url.pathname, url.search, url.hash, JSON.stringify({ url })]`);
  const href = "https://us:pw@example.com:8080/a/x?a=1#h";
  assert.deepEqual(found, [href, "https://example.com:8080", "us", "pw", "example.com:8080", "example.com", "8080", "/a/x", "?a=1", "#h", `{"url":"${href}"}`]);
});

test("IDNA, IPv4 in any spelling and IPv6 are made canonical", async () => {
  const found = await web.run(
    `return ["http://bücher.example/", "http://0x7f.1/", "http://[::1:0:0]/", "http://EXAMPLE.com:80/a/./b/../c"].map((url) => new URL(url).href)`,
  );
  assert.deepEqual(found, ["http://xn--bcher-kva.example/", "http://127.0.0.1/", "http://[::1:0:0]/", "http://example.com/a/c"]);
});

test("what looks plain and is not is not passed through unread", async () => {
  const inputs = [
    ...[
      "http://a.b/c/../d",
      "http://a.b/c/%2e%2e/d",
      "http://a.b/./c",
      "http://a.b:80/",
      "https://a.b:443/",
      "https://a.b:80/",
      "http://a.b:065/",
      "http://a.b:65536/",
    ],
    ...[
      "http://a.0x1/",
      "http://1.2/",
      "http://xn--a/",
      "http://a.b",
      "http://a.b?x",
      "http://a.b/?'",
      "http://A.b/",
      "http://a.b/ ",
      "http://a_b/",
      "http://127.0.0.1:9001/x",
      "ws://a.b:80/",
    ],
    ...[
      "http://a.b:99999/",
      "http://a.b//..",
      "http://a.b/a%2F..",
      "http://a.b/..a",
      "http://a.b/a..",
      "http://a--b/",
      "http://a.b./",
      "http://a.b/%zz?%zz",
      "http://a.b:59999/%41",
      "http://a.b:60000/",
      "http://a.b/x%2e/%2ea/y",
      "http://a.b:8080",
      "http://a.b:443/",
      "wss://a.b:443/",
    ],
  ];
  const found = await web.run(`return ${JSON.stringify(inputs)}.map((input) => URL.parse(input)?.href ?? null)`);
  assert.deepEqual(
    found,
    inputs.map((input) => URL.parse(input)?.href ?? null),
  );
});

test("paths on a plain base are what the standard makes of them", async () => {
  const base = "http://a.example:8080/b/c?d";
  const inputs = ["/x", "/x/../y", "//other/x", "/", "", "/a%2e", "/%2e%2e/a", "/x?y#z", "/\\\\x", "/a b", "?q", "x"];
  const found = await web.run(`return ${JSON.stringify(inputs)}.map((input) => URL.parse(input, "${base}")?.href ?? null)`);
  assert.deepEqual(
    found,
    inputs.map((input) => URL.parse(input, base)?.href ?? null),
  );
});

test("searchParams and search stay in step both ways", async () => {
  const found = await web.run(`
    const url = new URL("https://a.example/?b=2&a=1&a=3#h");
    const params = url.searchParams;
    params.append("c", "ä &=");
    params.delete("a", "1");
    const first = url.href;
    url.search = "?x=1";
    return [first, [...params], url.searchParams === params, params.size]`);
  assert.deepEqual(found, ["https://a.example/?b=2&a=3&c=%C3%A4+%26%3D#h", [["x", "1"]], true, 1]);
});

test("URLSearchParams reads strings, pairs and records, and sorts stably", async () => {
  const found = await web.run(`
    const sorted = new URLSearchParams("z=1&a=2&z=0&a=1"); sorted.sort();
    return [new URLSearchParams("?a=b%20c+d&e").get("a"), String(new URLSearchParams([["x", "1"], ["x", "2"]])), String(new URLSearchParams({ q: "ü" })), String(sorted),
      new URLSearchParams("a=%FF&b=%EF%BB%BF1").get("a"), new URLSearchParams("a=1&a=2").has("a", "2"), new URLSearchParams("%").toString()]`);
  assert.deepEqual(found, ["b c d", "x=1&x=2", "q=%C3%BC", "a=2&a=1&z=1&z=0", "\ufffd", true, "%25="]);
});

test("what is no URL is a TypeError of the context's own realm", async () => {
  assert.deepEqual(
    await web.run(`
      const errors = [];
      for (const make of [() => new URL("nonsense"), () => new URL("/a"), () => { new URL("http://a/").href = "b" }, () => new URL("http://a/".padEnd(300000, "b"))]) {
        try { make() } catch (error) { errors.push(Object.getPrototypeOf(error) === TypeError.prototype && !/file:|node:/.test(error.stack)) }
      }
      return [errors, URL.canParse("nonsense"), URL.parse("nonsense")]`),
    [[true, true, true, true], false, null],
  );
});

test("URLPattern gives groups", async () => {
  assert.deepEqual(await web.run(`return { ...new URLPattern({ pathname: "/products/:id/*" }).exec("https://a.example/products/5/x/y").pathname.groups }`), {
    id: "5",
    0: "x/y",
  });
});
