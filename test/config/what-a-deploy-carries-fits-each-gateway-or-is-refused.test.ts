import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { configChanges, ConfigError, LOCAL_KEYS, mergeConfig, resolveConfig } from "../../runtime/config/config.ts";
import type { ResolvedConfig } from "../../runtime/config/resolved.ts";
import type { SharedConfig } from "../../runtime/config/schema.ts";

const SITE = { upstreams: { site: { targets: ["http://127.0.0.1:9001"] } } };

/** A machine with a config folder, and files in and beside it. */
function machine(t: TestContext, config: object = {}): ResolvedConfig {
  const folder = mkdtempSync(path.join(tmpdir(), "sluice-shared-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const baseDir = path.join(folder, "gateway");
  mkdirSync(path.join(baseDir, "rules"), { recursive: true });
  mkdirSync(path.join(baseDir, ".sluice"));
  writeFileSync(path.join(baseDir, ".sluice", "admin-token"), "not for rules");
  writeFileSync(path.join(baseDir, "key"), "below the config");
  writeFileSync(path.join(folder, "outside"), "of the machine");
  symlinkSync(path.join(folder, "outside"), path.join(baseDir, "link"));
  return resolveConfig({ ...SITE, ...config }, { baseDir, file: path.join(baseDir, "sluice.config.json") });
}

function problems(run: () => unknown): string[] {
  try {
    run();
    return [];
  } catch (thrown) {
    assert.ok(thrown instanceof ConfigError, String(thrown));
    return thrown.problems.map(({ path: at, text }) => `${at}: ${text}`);
  }
}

test("a gateway keeps its machine's own keys and takes all others, written ones and defaults alike", (t) => {
  const own = {
    listeners: [{ host: "127.0.0.1", port: 7001 }],
    workers: 3,
    rules: "./rules",
    admin: { port: 7002 },
    store: { timeout: "1s" },
    releases: { keep: 7 },
  };
  const local = machine(t, { ...own, limits: { headers: 7 }, vars: { of: "the file" } });
  const merged = mergeConfig(local, { ...SITE, limits: { bodySize: "1KiB" } });
  for (const key of ["listeners", "workers", "rulesDir", "stateDir", "store", "admin", "adminTokens", "releases", "baseDir", "file"] as const)
    assert.deepEqual(merged[key], local[key], key);
  assert.deepEqual([merged.limits.bodyBytes, merged.limits.headers, merged.vars], [1024, 100, {}]);
  assert.deepEqual(local.shared, { ...SITE, limits: { headers: 7 }, vars: { of: "the file" } });
  assert.deepEqual(Object.keys(merged.shared), ["upstreams", "limits"]);
});

test("what does not fit is refused, all of it at once: keys of other versions, dangling names, secrets that this machine lacks", (t) => {
  const local = machine(t);
  const deployed = {
    ...SITE,
    limits: { headersOfTomorrow: 5 },
    routes: [{ upstream: "shop" }],
    secrets: { lacking: { env: "NOT_SET_HERE" }, gone: { file: "./gone" } },
  };
  assert.deepEqual(
    problems(() => mergeConfig(local, deployed, {})).map((text) => text.replace(/expected one of .*/, "expected …")),
    [
      "limits.headersOfTomorrow: found an unknown key with 5, expected …",
      'routes[0].upstream: found "shop", which upstreams does not name; it names site',
      "secrets.lacking.env: the environment variable NOT_SET_HERE is not set",
      'secrets.gone.file: "./gone" cannot be read (ENOENT)',
    ],
  );
  assert.deepEqual(
    problems(() => mergeConfig(local, { ...SITE, workers: 99, store: {} })),
    ["workers", "store"].map((key) => `${key}: found in a deploy, and belongs to each gateway's own config`),
  );
  assert.ok(LOCAL_KEYS.includes("admin") && LOCAL_KEYS.includes("releases"), "who may do what, and whose signature counts, no deploy can change");
  assert.equal(problems(() => mergeConfig(local, null)).length > 0, true);
});

test("a deploy cannot make rules see the gateway's own keys or files of the machine", (t) => {
  const local = machine(t);
  const refused = (source: object, own = local) =>
    problems(() => mergeConfig(own, { ...SITE, secrets: { s: source } }, { SLUICE_ADMIN_TOKEN: "t", JWT: "value" }));
  assert.deepEqual(refused({ env: "SLUICE_ADMIN_TOKEN" }), ['secrets.s.env: found "SLUICE_ADMIN_TOKEN", which is the gateway\'s own']);
  for (const file of ["/etc/passwd", "../outside", "./link", "./.sluice/admin-token"])
    assert.match(
      refused({ file }).join(),
      /^secrets\.s\.file: found "[^"]+", expected a file below the folder of this gateway's config, or one that this config names too$/,
    );
  assert.deepEqual([refused({ file: "./key" }), refused({ env: "JWT" })], [[], []]);
  const secret = { file: "../outside" };
  assert.deepEqual(problems(() => mergeConfig(local, { ...SITE, cache: { secret } })).length, 1);
  assert.deepEqual(refused(secret, machine(t, { secrets: { mine: secret } })), [], "what the machine's own config reads, a deploy may read");
});

test("nor sign experiments with them, nor show rules what the machine signs with", (t) => {
  const outside = { file: "../outside" };
  const refused = (deployed: object, own = machine(t)) => problems(() => mergeConfig(own, { ...SITE, ...deployed }, { SLUICE_ADMIN_TOKEN: "t".repeat(32) }));
  const own = 'found "SLUICE_ADMIN_TOKEN", which is the gateway\'s own';
  const key = { env: "SLUICE_ADMIN_TOKEN" };
  assert.deepEqual(refused({ experiments: { key, previousKeys: [key] } }), [`experiments.key.env: ${own}`, `experiments.previousKeys[0].env: ${own}`]);
  const signing = machine(t);
  writeFileSync(path.join(signing.baseDir, "..", "outside"), "k".repeat(32));
  const signs = resolveConfig({ ...SITE, experiments: { key: outside } }, { baseDir: signing.baseDir, file: "" });
  assert.deepEqual(refused({ experiments: { key: outside } }, signs), []);
  assert.match(refused({ secrets: { s: outside } }, signs).join(), /^secrets\.s\.file: /);
});

test("a deploy cannot make a gateway append to files of the machine", (t) => {
  const local = machine(t);
  const at = (name: string) => path.join(local.baseDir, name);
  mkdirSync(path.join(local.baseDir, "..", "elsewhere"));
  symlinkSync(path.join(local.baseDir, "..", "elsewhere"), at("led-out"));
  symlinkSync(path.join(local.baseDir, "..", "not-yet.log"), at("dangling.log"));
  symlinkSync(at("key"), at("key.log"));
  symlinkSync(at("key.log"), at("twice.log"));
  const refused = (file: string, own = local) => problems(() => mergeConfig(own, { ...SITE, experiments: { raw: { file } } }));
  for (const file of [
    "/root/.bashrc",
    "../beside.log",
    "./.sluice/audit.log",
    "./.sluice/new/raw.jsonl",
    "./sluice.config.ts",
    "./rules/raw.ts",
    "./led-out/raw.jsonl",
    "./led-out/new/raw.jsonl",
    "./dangling.log",
    "./key.log",
    "./twice.log",
  ])
    assert.match(refused(file).join(), /^experiments\.raw\.file: found "[^"]+", expected a \.jsonl, \.ndjson or \.log file below the folder/, file);
  for (const file of ["./raw.jsonl", "./new/folder/raw.ndjson", at("raw.log")]) assert.deepEqual(refused(file), [], file);
  const own = "../warehouse/raw";
  assert.deepEqual(refused(own, machine(t, { experiments: { raw: { file: own } } })), [], "what the machine's own config writes, a deploy may write");
});

test("a deploy cannot make a gateway write to services beside it", (t) => {
  const local = machine(t);
  const refused = (webhook: string, own = local) => problems(() => mergeConfig(own, { ...SITE, experiments: { raw: { webhook } } }));
  for (const host of [
    "127.0.0.1:7002",
    "127.1",
    "2130706433",
    "10.0.0.8",
    "169.254.169.254",
    "[::1]",
    "[::ffff:10.0.0.1]",
    "[fe80::1]",
    "localhost",
    "a.localhost.",
  ])
    assert.match(refused(`http://${host}/lines`).join(), /^experiments\.raw\.webhook: found "[^"]+", expected a host on no private/, host);
  for (const host of ["warehouse.example", "93.184.215.14", "[2606:4700::1111]"]) assert.deepEqual(refused(`https://${host}/lines`), [], host);
  const beside = machine(t, { experiments: { raw: { webhook: "http://10.0.0.8:9000/a" } } });
  assert.deepEqual(refused("http://10.0.0.8:9000/b", beside), []);
  assert.equal(refused("http://10.0.0.8:9001/a", beside).length, 1);
});

test("differences are told key by key, as written", () => {
  const limit = (name: string, rate: string) => ({ name, rate, key: ["address"] });
  const before = { ...SITE, limits: { headTimeout: "10s", headers: 50 }, rateLimits: [limit("a", "5/1s"), limit("b", "9/1m")], vars: { theme: "light" } };
  const after = {
    upstreams: { site: { targets: ["http://127.0.0.1:9001", "http://127.0.0.1:9002"], timeouts: { connect: "2s" } } },
    limits: { headTimeout: "20s" },
    rateLimits: [limit("b", "9/1m"), limit("a", "6/1s")],
    vars: { theme: "light" },
    log: { redact: { query: ["q"] } },
  };
  const told = configChanges(before as unknown as SharedConfig, after as unknown as SharedConfig).map(
    ({ key, how, before: was, after: is }) => `${how} ${key} ${was} → ${is}`,
  );
  assert.deepEqual(told, [
    'changed upstreams.site.targets ["http://127.0.0.1:9001"] → ["http://127.0.0.1:9001","http://127.0.0.1:9002"]',
    'added upstreams.site.timeouts.connect  → "2s"',
    'changed limits.headTimeout "10s" → "20s"',
    "removed limits.headers 50 → ",
    'changed rateLimits.a.rate "5/1s" → "6/1s"',
    'added log.redact.query  → ["q"]',
  ]);
  assert.deepEqual(configChanges(after as unknown as SharedConfig, JSON.parse(JSON.stringify(after)) as SharedConfig), []);
});
