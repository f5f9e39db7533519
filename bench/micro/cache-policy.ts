/**
 * What the cache's policy costs: on each hit (readRequest, decide, varyKey, ageSeconds), and once per stored answer (storable).
 * Run: node --conditions=sluice-source bench/micro/cache-policy.ts
 */
import { bench, do_not_optimize, group, run } from "mitata";
import { ageSeconds, decide, notModifiedFor, readRequest, storable, varyKey, type StoreOptions } from "../../runtime/cache/policy/policy.ts";
import { Fields } from "../../runtime/proxy/fields.ts";

const nowMs = Date.now();
const options: StoreOptions = {
  defaultMs: 0,
  heuristicLimitMs: 86_400_000,
  statusMs: new Map(),
  lifetimeMs: -1,
  cacheability: "origin",
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  maxMs: 31_536_000_000,
  hitForMissMs: 120_000,
  setCookie: "explicit",
};
const browser = Fields.of(
  ["user-agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36"],
  ["accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8"],
  ["accept-encoding", "gzip, deflate, br, zstd"],
  ["accept-language", "en-GB,en;q=0.9,de;q=0.8"],
  ["cookie", "sid=0123456789abcdef"],
  ["referer", "https://shop.example.com/"],
  ["sec-fetch-mode", "navigate"],
  ["sec-fetch-site", "same-origin"],
);
const reloading = browser.clone();
reloading.append("cache-control", "max-age=0");
reloading.append("if-none-match", '"0123456789abcdef"');
const answer = Fields.of(
  ["date", new Date(nowMs).toUTCString()],
  ["content-type", "text/html; charset=utf-8"],
  ["cache-control", "public, max-age=300, stale-while-revalidate=60"],
  ["etag", '"0123456789abcdef"'],
  ["last-modified", new Date(nowMs - 86_400_000).toUTCString()],
  ["vary", "Accept-Encoding"],
);
const timing = { requestAtMs: nowMs, responseAtMs: nowMs };
const terms = readRequest("GET", browser, true);
const result = storable(terms, 200, answer, options, timing);
if (!result.store || decide(terms, result.freshness, nowMs) !== "hit") throw new Error("expected a hit");
const { freshness } = result;
const names = ["accept-encoding"];

group("each request", () => {
  bench("readRequest + decide: a fresh hit", () => do_not_optimize(decide(readRequest("GET", browser, true), freshness, nowMs)));
  bench("the same, with what a reload asks for", () => do_not_optimize(decide(readRequest("GET", reloading, true), freshness, nowMs)));
  bench("varyKey: accept-encoding", () => do_not_optimize(varyKey(names, browser)));
  bench("ageSeconds", () => do_not_optimize(ageSeconds(freshness, nowMs)));
  bench("notModifiedFor: If-None-Match", () => do_not_optimize(notModifiedFor(reloading, answer, freshness)));
});
group("each stored answer", () => {
  bench("storable", () => do_not_optimize(storable(terms, 200, answer, options, timing)));
});
await run();
