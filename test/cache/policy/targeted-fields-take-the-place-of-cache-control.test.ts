import assert from "node:assert/strict";
import { test } from "node:test";
import { type Answer, freshSeconds, request, verdictOn } from "./given.ts";

const SHORT = "cache-control: max-age=1";

const SECONDS: readonly [what: string, fields: readonly string[], seconds: number][] = [
  ["CDN-Cache-Control over Cache-Control and Expires", [SHORT, "expires: 0", "cdn-cache-control: max-age=60"], 60],
  ["Sluice-Cache-Control over CDN-Cache-Control", ["cdn-cache-control: max-age=60", "sluice-cache-control: max-age=90"], 90],
  ["even over no-store for the others", ["cache-control: no-store", "cdn-cache-control: max-age=60"], 60],
  ["no Expires once a targeted field counts", ["expires: @60", "cdn-cache-control: public", "last-modified: @-100"], 10],
  ["an empty one is absent", [SHORT, "cdn-cache-control: "], 1],
  ["a malformed one is absent", [SHORT, "cdn-cache-control: max-age=60,"], 1],
  ["uppercase keys are malformed (RFC 9651 section 3.1.2)", [SHORT, "cdn-cache-control: Max-Age=60"], 1],
  ["space around = is malformed", [SHORT, "cdn-cache-control: max-age =60"], 1],
  ["an unterminated string is malformed", [SHORT, 'cdn-cache-control: max-age=60, x="'], 1],
  ["the malformed one gives way to the next in the list", ["sluice-cache-control: ?", "cdn-cache-control: max-age=60"], 60],
  ["parameters say nothing", [SHORT, "cdn-cache-control: max-age=60;x=1;y, no-transform"], 60],
  ["several lines are one dictionary, the last of a key counts", ["cdn-cache-control: max-age=5", "cdn-cache-control: max-age=60"], 60],
  ["a decimal is no number of seconds", ["cdn-cache-control: max-age=60.5", 'etag: "a"'], 0],
  ["?0 switches a flag off", ["cdn-cache-control: max-age=60, no-store=?0"], 60],
  ["Surrogate-Control over Cache-Control", [SHORT, "surrogate-control: max-age=60"], 60],
  ["Surrogate-Control even over no-store for the others", ["cache-control: no-store", "surrogate-control: max-age=60"], 60],
  ["Surrogate-Control for this device", [SHORT, "surrogate-control: max-age=60;sluice"], 60],
  ["Surrogate-Control for another device", [SHORT, "surrogate-control: max-age=60;varnish"], 1],
  ["Surrogate-Control about something else", [SHORT, 'surrogate-control: content="ESI/1.0"'], 1],
  ["Surrogate-Control in odd case", [SHORT, "surrogate-control: MaX-aGe=60"], 60],
  ["Surrogate-Control with a stale part", [SHORT, "surrogate-control: max-age=60+30"], 60],
];

for (const [what, lines, seconds] of SECONDS) {
  test(`${what} (RFC 9213 section 2): ${seconds} s`, () => assert.equal(freshSeconds({ fields: lines }), seconds));
}

const VERDICTS: readonly [what: string, answer: Answer, verdict: string][] = [
  ["no-store in a targeted field", { fields: ["cache-control: max-age=60", "cdn-cache-control: no-store"] }, "no-store"],
  ["no-store in Surrogate-Control", { fields: ["cache-control: max-age=60", "surrogate-control: no-store"] }, "no-store"],
  ["private in a targeted field", { fields: ["cdn-cache-control: max-age=60, private"] }, "private"],
  [
    "a targeted field does not lift the rule about Authorization",
    { request: request("authorization: x"), fields: ["cdn-cache-control: max-age=60"] },
    "authorization",
  ],
  ["but is explicit enough for Set-Cookie", { fields: ["cdn-cache-control: max-age=60", "set-cookie: a=b"] }, "stored"],
];

for (const [what, answer, verdict] of VERDICTS) test(`${what}: ${verdict}`, () => assert.equal(verdictOn(answer), verdict));
