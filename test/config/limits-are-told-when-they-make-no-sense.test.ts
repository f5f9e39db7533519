import assert from "node:assert/strict";
import { test } from "node:test";
import { ConfigError, resolveConfig } from "../../runtime/config/config.ts";
import type { ResolvedConfig } from "../../runtime/config/resolved.ts";

const upstreams = { site: { targets: ["http://127.0.0.1:9001"] } };
const resolve = (limits: unknown, more: object = {}): ResolvedConfig =>
  resolveConfig({ upstreams, routes: [{ upstream: "site", limits }], ...more }, { baseDir: "/", file: "" });
function problems(limits: unknown, more: object = {}): string[] {
  try {
    resolve(limits, more);
  } catch (thrown) {
    if (thrown instanceof ConfigError) return thrown.problems.map(({ path, text }) => `${path}: ${text}`);
    throw thrown;
  }
  return [];
}

test("a limit has defaults for everything but its name and rate", () => {
  const [limit] = resolve([{ name: "api", rate: "100/1m" }]).routes[0]!.limits;
  assert.deepEqual(limit, {
    policy: {
      ...{ name: "api", of: "config", algorithm: "gcra", limit: 100, windowMs: 60_000, capacity: 100 },
      ...{ mode: "exact", shadow: false, onStoreLoss: "local", penalty: null },
    },
    key: [{ kind: "address", ipv4: 32, ipv6: 64 }],
    cost: 1,
  });
});

test("what makes no sense is told with its place, all at once", () => {
  assert.deepEqual(problems([{ name: "a b", rate: "fast" }]), [
    'routes[0].limits[0].name: found "a b", expected a name of letters, digits, ".", "_" and "-", at most 64',
    'routes[0].limits[0].rate: found "fast", expected a rate such as "100/1m", or a number such as "20" for concurrency',
  ]);
  assert.deepEqual(problems([{ name: "api", rate: "20", cost: 30, key: [{ header: "no name" }] }]), [
    'routes[0].limits[0].key[0].header: found "no name", expected a header name',
    'routes[0].limits[0].rate: found "20", expected a rate such as "100/1m"',
  ]);
  assert.deepEqual(problems([{ name: "api", rate: "20/1m", cost: 30 }]), [
    "routes[0].limits[0].cost: found 30, expected at most 20: more can never be had at once",
  ]);
  assert.match(problems([{ name: "api", rate: "20/1m", brust: 3 }]).join(), /routes\[0\]\.limits\[0\]\.brust: .*did you mean "burst"\?/);
});

test("one name is one limit", () => {
  const limit = { name: "api", rate: "20/1m" };
  assert.match(problems([limit, limit]).join(), /routes\[0\]\.limits\[1\]\.name: found "api" again/);
  assert.match(problems([limit], { rateLimits: [limit] }).join(), /found "api" again; rateLimits has it already/);
  const routes = (second: object) => ({
    routes: [
      { match: { path: "/a" }, upstream: "site", limits: [limit] },
      { upstream: "site", limits: [second] },
    ],
  });
  assert.deepEqual(problems([], routes({ rate: "20/1m", name: "api" })), []);
  assert.deepEqual(problems([], routes({ name: "api", rate: "30/1m" })), [
    'routes[1].limits[0]: found another "api" than in routes[0].limits, expected the same: one name is one limit',
  ]);
});
