import assert from "node:assert/strict";
import { test } from "node:test";
import { invalidatedTargets, readRequest } from "../../../runtime/cache/policy/policy.ts";
import { fields } from "./given.ts";

function invalidated(method: string, status: number, ...lines: readonly string[]): string[] {
  return invalidatedTargets(readRequest(method, fields(), true), status, fields(...lines), "http", "shop.example:8080", "/cart/1?x=1");
}

const CASES: readonly [what: string, found: readonly string[], expected: readonly string[]][] = [
  ["its own target", invalidated("POST", 200), ["/cart/1?x=1"]],
  ["also after a redirect", invalidated("PUT", 303), ["/cart/1?x=1"]],
  ["nothing when it failed", invalidated("DELETE", 404), []],
  ["nothing when it failed here", invalidated("DELETE", 500), []],
  ["an unknown method is unsafe", invalidated("M-SEARCH", 200), ["/cart/1?x=1"]],
  ["GET is safe", invalidated("GET", 200), []],
  ["OPTIONS is safe", invalidated("OPTIONS", 200), []],
  ["Location", invalidated("POST", 201, "location: /cart/2?y"), ["/cart/1?x=1", "/cart/2?y"]],
  ["a relative Location", invalidated("POST", 201, "location: 2"), ["/cart/1?x=1", "/cart/2"]],
  ["Content-Location, absolute", invalidated("POST", 200, "content-location: http://shop.example:8080/a#b"), ["/cart/1?x=1", "/a"]],
  ["not on another host", invalidated("POST", 200, "location: http://other.example:8080/a"), ["/cart/1?x=1"]],
  ["not on another port", invalidated("POST", 200, "location: http://shop.example/a"), ["/cart/1?x=1"]],
  ["not with another scheme", invalidated("POST", 200, "location: https://shop.example:8080/a"), ["/cart/1?x=1"]],
  ["a Location that is no URL", invalidated("POST", 200, "location: http://["), ["/cart/1?x=1"]],
];

for (const [what, found, expected] of CASES) test(`${what} (RFC 9111 section 4.4)`, () => assert.deepEqual(found, expected));
