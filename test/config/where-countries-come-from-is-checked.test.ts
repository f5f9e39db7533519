import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { ConfigError, loadConfig, mergeConfig, resolveConfig } from "../../runtime/config/config.ts";
import { countryDatabase } from "../support/country-database.ts";

const folder = mkdtempSync(path.join(tmpdir(), "sluice-config-geo-"));
after(() => rmSync(folder, { recursive: true, force: true }));
mkdirSync(path.join(folder, "geo"));
writeFileSync(path.join(folder, "geo", "countries.mmdb"), countryDatabase({ "203.0.113.0/24": "DE" }));
writeFileSync(path.join(folder, "geo", "networks.mmdb"), countryDatabase({ "0.0.0.0/1": { as_number: 1 } }, { type: "Test-ASN" }));
writeFileSync(path.join(folder, "geo", "countries.csv"), "DE,203.0.113.0/24\n");

const SITE = { upstreams: { site: { targets: ["http://127.0.0.1:9001"] } } };
const resolved = (geo?: unknown) => resolveConfig({ ...SITE, ...(geo === undefined ? {} : { geo }) }, { baseDir: folder, file: "" });

function problems(geo: unknown): string[] {
  try {
    resolved(geo);
  } catch (thrown) {
    assert.ok(thrown instanceof ConfigError, String(thrown));
    return thrown.problems.map(({ path: at, text }) => `${at}: ${text}`);
  }
  return [];
}

test("a database counts from the config's folder, a header in lowercase; both, one or none may be given", () => {
  const databaseFile = path.join(folder, "geo", "countries.mmdb");
  assert.deepEqual(resolved({ database: "./geo/countries.mmdb" }).geo, { databaseFile, header: "" });
  assert.deepEqual(resolved({ header: "CF-IPCountry" }).geo, { databaseFile: "", header: "cf-ipcountry" });
  assert.deepEqual(resolved({ database: databaseFile, header: "cf-ipcountry" }).geo, { databaseFile, header: "cf-ipcountry" });
  assert.equal(resolved().geo, null);
});

test("what cannot be used is told with what was found and what was expected", () => {
  const expected = "expected a MaxMind DB (.mmdb) of countries or cities";
  assert.deepEqual(problems({ database: "geo/gone.mmdb" }), [`geo.database: found "geo/gone.mmdb", which cannot be read (ENOENT); ${expected}`]);
  assert.deepEqual(problems({ database: "geo/countries.csv" }), [`geo.database: found "geo/countries.csv", a file that is no MaxMind DB; ${expected}`]);
  assert.deepEqual(problems({ database: "geo/networks.mmdb" }), [
    `geo.database: found "geo/networks.mmdb", a database of another kind ("Test-ASN"): its records name no country; ${expected}`,
  ]);
  assert.deepEqual(problems({}), ["geo: found neither database nor header, expected at least one of them"]);
  assert.deepEqual(problems({ header: "cf ipcountry" }), ['geo.header: found "cf ipcountry", expected a header name']);
  assert.deepEqual(problems("countries.mmdb"), ['geo: found "countries.mmdb", expected { database: FILE } or { header: NAME }']);
  assert.match(problems({ databse: "geo/countries.mmdb" })[0]!, /^geo\.databse: found an unknown key .*did you mean "database"\?$/);
});

test("it belongs to the machine: no deploy carries it, and none takes it away", () => {
  const local = resolved({ database: "geo/countries.mmdb" });
  assert.deepEqual(local.shared, SITE);
  assert.deepEqual(mergeConfig(local, { ...SITE, vars: { a: 1 } }).geo, local.geo);
  assert.throws(() => mergeConfig(local, { ...SITE, geo: { header: "x-country" } }), /geo: found in a deploy, and belongs to each gateway's own config/);
});

test("what does nothing is warned of", async () => {
  const warningsOf = async (config: object): Promise<string[]> => {
    writeFileSync(path.join(folder, "sluice.config.json"), JSON.stringify({ ...SITE, ...config }));
    return (await loadConfig(folder)).warnings;
  };
  const routes = [
    { match: { path: "/a" }, upstream: "site" },
    { match: [{ path: "/b" }, { not: { country: "DE" } }], upstream: "site" },
  ];
  assert.deepEqual(await warningsOf({ routes }), ["routes[1].match: country matches nothing: the config has no geo key, which says how countries are known"]);
  assert.deepEqual(await warningsOf({ geo: { header: "x-country" } }), ['geo.header: "x-country" is believed from trustedProxies alone, and there are none']);
  assert.deepEqual(await warningsOf({ geo: { header: "x-country" }, trustedProxies: ["10.0.0.0/8"], routes }), []);
});
