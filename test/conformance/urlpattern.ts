/** The Web Platform Tests' data for URLPattern through the sandbox's URLPattern, in a bare V8 context. */
import { createWebContext } from "../sandbox/web-context.ts";
import { outsideData } from "./data.ts";

const cases = outsideData("urlpatterntestdata.json");

/** Where we differ from the data, and why; by the arguments of the constructor and of the match. */
const LISTED: Readonly<Record<string, string>> = listed({
  "the library takes no characters above U+FFFF in a group's name, and encodes such a name": [
    [[{ pathname: ":a\u{E0100}b" }], []],
    [[{ pathname: "test/:a\u{10450}b" }], [{ pathname: "test/foo" }]],
    [[{ pathname: "/:\u{20000}" }], [{ pathname: "/foo" }]],
  ],
  "the library drops a default port from the pattern, as an earlier edition of the standard said": [
    [[{ protocol: "http", port: "80" }], [{ protocol: "http", port: "80" }]],
    [[{ protocol: "http", port: "80 " }], [{ protocol: "http", port: "80" }]],
  ],
  "the library takes no junk after the digits of a port: stricter, and no client sends it": [
    [[{ port: "80" }], [{ port: "8\t0" }]],
    [[{ port: "80" }], [{ port: "80x" }]],
    [[{ port: "80" }], [{ port: "80?x" }]],
    [[{ port: "80" }], [{ port: "80\\x" }]],
  ],
  "the library refuses characters that no host name has, where the standard cuts the name there: stricter, and a mistake is seen": [
    [["https://{sub.}?example{.com/}foo"], ["https://example.com/foo"]],
    [[{ hostname: "bad#hostname" }], [{ hostname: "bad" }]],
    [[{ hostname: "bad/hostname" }], [{ hostname: "bad" }]],
    [[{ hostname: "bad\\\\hostname" }], [{ hostname: "badhostname" }]],
    [[{ hostname: "bad\nhostname" }], [{ hostname: "badhostname" }]],
    [[{ hostname: "bad\rhostname" }], [{ hostname: "badhostname" }]],
    [[{ hostname: "bad\thostname" }], [{ hostname: "badhostname" }]],
    [[{ protocol: "http", hostname: "example.com/ignoredpath" }], ["http://example.com/"]],
    [[{ protocol: "http", hostname: "example.com\\?ignoredsearch" }], ["http://example.com/"]],
    [[{ protocol: "http", hostname: "example.com#ignoredhash" }], ["http://example.com/"]],
  ],
  "the library compiles groups with the flag u, not v: no set operations in a group": [
    [[{ pathname: "/([[a-z]--a])" }], [{ pathname: "/a" }]],
    [[{ pathname: "/([[a-z]--a])" }], [{ pathname: "/z" }]],
    [[{ pathname: "/([\\d&&[0-1]])" }], [{ pathname: "/0" }]],
    [[{ pathname: "/([\\d&&[0-1]])" }], [{ pathname: "/3" }]],
  ],
});

function listed(reasons: Readonly<Record<string, readonly unknown[]>>): Record<string, string> {
  return Object.fromEntries(Object.entries(reasons).flatMap(([reason, names]) => names.map((name) => [JSON.stringify(name), reason])));
}

/** The checks of the data's own runner: constructor, components, `test`, `exec`. What a case leaves out follows from pattern and base. */
const CHECK = `
  const components = ["protocol", "username", "password", "hostname", "port", "pathname", "search", "hash"];
  const earlier = { protocol: [], username: [], password: [], hostname: ["protocol"], port: ["protocol", "hostname"], pathname: ["protocol", "hostname", "port"],
    search: ["protocol", "hostname", "port", "pathname"], hash: ["protocol", "hostname", "port", "pathname", "search"] };
  const attempt = (run) => { try { return run(); } catch { return "error"; } };
  function expectedComponent(test, component) {
    const given = test.expected_obj?.[component];
    if (given !== undefined && given !== null) return given;
    const init = test.pattern[0];
    if (typeof init === "object" && init[component]) return init[component];
    if (test.exactly_empty_components?.includes(component)) return "";
    const base = typeof init === "object" && init.baseURL ? new URL(init.baseURL) : typeof test.pattern[1] === "string" ? new URL(test.pattern[1]) : null;
    if (typeof init === "object" && earlier[component].some((name) => name in init)) return "*";
    if (base === null || component === "username" || component === "password") return "*";
    return component === "protocol" ? base.protocol.slice(0, -1) : component === "search" || component === "hash" ? base[component].slice(1) : base[component];
  }
  function check(test) {
    const pattern = attempt(() => new URLPattern(...test.pattern));
    if (test.expected_obj === "error" || pattern === "error") return (pattern === "error") === (test.expected_obj === "error") ? "" : pattern === "error" ? "refused" : "accepted";
    for (const component of components) {
      const expected = expectedComponent(test, component);
      if (pattern[component] !== expected) return component + ": " + pattern[component] + " instead of " + expected;
    }
    const tested = attempt(() => pattern.test(...(test.inputs ?? [])));
    if (test.expected_match === "error") return tested === "error" ? "" : "matching did not throw";
    if (tested !== Boolean(test.expected_match)) return "test: " + tested;
    const match = attempt(() => pattern.exec(...(test.inputs ?? [])));
    if (!test.expected_match) return match === null ? "" : "exec matched";
    for (const component of components) {
      let expected = test.expected_match[component];
      if (!expected) expected = { input: "", groups: test.exactly_empty_components?.includes(component) ? {} : { 0: "" } };
      const groups = Object.fromEntries(Object.entries(expected.groups).map(([name, value]) => [name, value ?? undefined]));
      const show = (input, found) => JSON.stringify([input, Object.keys(found).sort().map((name) => [name, found[name] === undefined ? "undefined" : "=" + found[name]])]);
      const found = show(match[component].input, match[component].groups);
      if (found !== show(expected.input, groups)) return component + ": " + found + " instead of " + show(expected.input, groups);
    }
    return "";
  }
  const tests = JSON.parse(data).filter((test) => test.pattern !== undefined);
  return tests.map((test) => [JSON.stringify([test.pattern, test.inputs ?? null]), check(test)]);`;

const web = await createWebContext();
const results = (await web.run(`const data = ${JSON.stringify(JSON.stringify(cases))}; ${CHECK}`)) as [name: string, found: string][];
let passed = 0;
let failed = 0;
let known = 0;
for (const [name, found] of results) {
  if (found === "") passed++;
  else if (LISTED[name] !== undefined) {
    known++;
    console.log(`listed: ${name}: ${LISTED[name]}`);
  } else {
    failed++;
    console.log(`FAILED ${name}: ${found}`);
  }
}
console.log(`urlpattern: ${passed} passed, ${failed} failed, ${known} listed`);
web.dispose();
process.exitCode = failed > 0 ? 1 : 0;
