/** Type tests: `defineConfig` takes what this version has, with units that are units. */
import { expectTypeOf } from "expect-type";
import { defineConfig, type Duration, type LimitOptions, type Share, type Size } from "sluice";
import type { LimitsConfig } from "../../runtime/config/resolved.ts";

const upstreams = { site: { targets: ["http://127.0.0.1:9001"] } };

export default defineConfig({
  listeners: [{ host: "127.0.0.1", port: 8080 }],
  workers: 2,
  trustedProxies: ["10.0.0.0/8"],
  upstreams: {
    shop: {
      targets: ["http://127.0.0.1:9001", { url: "https://127.0.0.1:9002", weight: 2 }],
      timeouts: { connect: "1s", firstByte: "30s", idle: "1.5m" },
      keepAlive: "30s",
      maxConnections: 1000,
    },
  },
  routes: [{ match: [{ host: "shop.example.com", path: "/*" }, { not: { method: "GET" } }], upstream: "shop" }, { upstream: "shop" }],
  rules: "./rules",
  vars: { theme: "dark", nested: { list: [1, null, true] } },
  secrets: { jwtKey: { env: "JWT_KEY" }, other: { file: "./other.key" } },
  fetch: { allow: ["https://auth.example.com"], private: ["http://127.0.0.1:7001"] },
  stateDir: "./.sluice",
  log: { access: "5%", redact: { headers: ["x-token"], query: ["token"] } },
  keepHeaders: ["server"],
  limits: { bodySize: "100MiB", headers: 100, ruleCpu: "50ms", bodyMinRate: "500B" },
  admin: { host: "127.0.0.1", port: 9901 },
});

defineConfig({
  upstreams,
  rateLimits: [{ name: "everybody", rate: "10000/1s", key: [], mode: "leased" }],
  routes: [
    {
      upstream: "site",
      limits: [
        { name: "per-client", rate: "100/1m", burst: 20, penalty: { after: 5, block: "10m" }, onStoreLoss: "closed" },
        {
          name: "reports",
          rate: "5",
          algorithm: "concurrency",
          key: ["path", { header: "x-api-key" }, { cookie: "sid" }, { address: { ipv6: 56 } }],
          shadow: true,
        },
      ],
    },
  ],
});
// @ts-expect-error a rate has a unit
defineConfig({ upstreams, rateLimits: [{ name: "a", rate: "100/minute" }] });
// @ts-expect-error claims are a rule's business
defineConfig({ upstreams, rateLimits: [{ name: "a", rate: "100/1m", key: [{ claim: "sub" }] }] });
defineConfig({ upstreams, admin: false, workers: "auto", log: { access: "off" } });
// @ts-expect-error an upstream is the least
defineConfig({});
// @ts-expect-error unknown
defineConfig({ upstreams, lisseners: [] });
// @ts-expect-error coming in a later version
defineConfig({ upstreams, listeners: [{ port: 8443, protocols: ["h2"] }] });
defineConfig({ upstreams, geo: { database: "./country.mmdb", header: "cf-ipcountry" } });
// @ts-expect-error a file's name
defineConfig({ upstreams, geo: { database: true } });
defineConfig({ upstreams, cache: { memory: "256MiB", shared: false } });
defineConfig({ upstreams, routes: [{ upstream: "site", cache: { default: "0s", statuses: { "404": "10s" }, key: { query: { exclude: ["utm_*"] } } } }] });
// @ts-expect-error a size
defineConfig({ upstreams, cache: { memory: 256 } });
defineConfig({ upstreams, store: { redis: "redis://127.0.0.1:6379", timeout: "200ms" } });
defineConfig({ upstreams, store: { redis: { cluster: ["10.0.0.1:6379"], username: "sluice", password: { env: "REDIS_PASSWORD" }, tls: { ca: "./ca.pem" } } } });
defineConfig({ upstreams, store: { redis: { sentinels: { name: "mymaster", nodes: ["10.0.0.1"] }, db: 2, prefix: "edge:" }, memory: "1GiB" } });
// @ts-expect-error a password says where it stands, never what it is
defineConfig({ upstreams, store: { redis: { url: "redis://127.0.0.1", password: "hunter2" } } });
// @ts-expect-error coming in a later version
defineConfig({ upstreams: { site: { targets: [], health: { path: "/" } } } });
// @ts-expect-error a secret says where it stands, never what it is
defineConfig({ upstreams, secrets: { key: "value" } });
// @ts-expect-error functions are no data
defineConfig({ upstreams, vars: { theme: () => "dark" } });
// @ts-expect-error a route names its upstream
defineConfig({ upstreams, routes: [{ match: { path: "/" } }] });
// @ts-expect-error a number has no unit
defineConfig({ upstreams, limits: { headTimeout: 10 } });

expectTypeOf<"250ms">().toExtend<Duration>();
expectTypeOf<"1.5h">().toExtend<Duration>();
expectTypeOf<"10">().not.toExtend<Duration>();
expectTypeOf<"10s ">().not.toExtend<Duration>();
expectTypeOf<"64KiB">().toExtend<Size>();
expectTypeOf<"64KB">().not.toExtend<Size>();
expectTypeOf<"5%">().toExtend<Share>();
expectTypeOf<"5">().not.toExtend<Share>();

/** A limit's name in the resolved config, from its name here: `Ms`, `Bytes` and `BytesPerSecond` stand for the unit in the value. */
type Resolved<Name extends string> = Name extends "bodyMinRate"
  ? "bodyMinBytesPerSecond"
  : Name extends `${infer Start}Size`
    ? `${Start}Bytes`
    : Name extends "ruleMemory" | "ruleRecall"
      ? `${Name}Bytes`
      : Name extends keyof LimitsConfig
        ? Name
        : `${Name}Ms`;
expectTypeOf<Resolved<keyof LimitOptions>>().toEqualTypeOf<keyof LimitsConfig>();
