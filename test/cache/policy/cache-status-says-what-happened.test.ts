import assert from "node:assert/strict";
import { test } from "node:test";
import { cacheStatus, type CacheStatus } from "../../../runtime/cache/policy/policy.ts";

const NOTHING: CacheStatus = { hit: false, fwd: null, fwdStatus: 0, ttlMs: null, stored: false, collapsed: false, detail: "" };

const CASES: readonly [status: Partial<CacheStatus>, text: string][] = [
  [{ hit: true, ttlMs: 376_900 }, "sluice; hit; ttl=376"],
  [{ hit: true, ttlMs: -412_000 }, "sluice; hit; ttl=-412"],
  [{ fwd: "stale", fwdStatus: 304, stored: true, ttlMs: 60_000 }, "sluice; fwd=stale; fwd-status=304; stored; ttl=60"],
  [{ fwd: "uri-miss", collapsed: true }, "sluice; fwd=uri-miss; collapsed"],
  [{ fwd: "miss", detail: "no-store" }, "sluice; fwd=miss; detail=no-store"],
  [{ fwd: "bypass", detail: 'a "rule"\r\nread' }, 'sluice; fwd=bypass; detail="a \\"rule\\"read"'],
  [{ hit: true, fwd: "stale", stored: true }, "sluice; hit"],
];

for (const [status, text] of CASES) test(`${text} (RFC 9211 section 2)`, () => assert.equal(cacheStatus({ ...NOTHING, ...status }), text));
