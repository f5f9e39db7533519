import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, describe, test } from "node:test";
import { type CountryDatabase, countryCode, openCountryDatabase } from "../../runtime/geo/geo.ts";
import { countryDatabase, type DatabaseShape, type Value } from "../support/country-database.ts";

const folder = mkdtempSync(path.join(tmpdir(), "sluice-geo-"));
after(() => rmSync(folder, { recursive: true, force: true }));

function written(bytes: Buffer | string): string {
  const file = path.join(folder, "countries.mmdb");
  writeFileSync(file, bytes);
  return file;
}
function opened(networks: Readonly<Record<string, Value>>, shape?: DatabaseShape, onDamage: (reason: string) => void = assert.fail): CountryDatabase {
  const database = openCountryDatabase(written(countryDatabase(networks, shape)), onDamage);
  assert.ok(!("refusal" in database), JSON.stringify(database));
  return database;
}

const NETWORKS = { "203.0.113.0/24": "DE", "198.51.100.128/25": "FR", "198.51.100.7/32": "AT", "2001:db8:1::/48": "JP", "2001:db8:2::/47": "BR" };
const EXPECTED = {
  "203.0.113.0": "DE",
  "203.0.113.255": "DE",
  "203.0.114.0": "",
  "203.0.112.255": "",
  "198.51.100.127": "",
  "198.51.100.128": "FR",
  "198.51.100.7": "AT",
  "198.51.100.6": "",
  "::ffff:203.0.113.9": "DE",
  "::FFFF:198.51.100.7": "AT",
  "2001:db8:1::": "JP",
  "2001:DB8:1:ffff:ffff:ffff:ffff:ffff": "JP",
  "2001:db8:3:4::5": "BR",
  "2001:db8:4::": "",
  "127.0.0.1": "",
  "10.1.2.3": "",
  "::1": "",
  "fe80::1%eth0": "",
  "fd00::1": "",
};

describe("an address has the country of its network, whatever the file's own measures:", () => {
  for (const recordSize of [24, 28, 32] as const) {
    test(`halves of ${recordSize} bits`, () => {
      const database = opened(NETWORKS, { recordSize });
      // Twice: the second time from memory.
      for (let i = 0; i < 2; i++) for (const [address, country] of Object.entries(EXPECTED)) assert.equal(database.countryOf(address), country, address);
    });
  }
  test("IPv4 alone, where the beginning of an IPv6 address is no IPv4 address", () => {
    const database = opened({ "32.1.0.0/16": "US", "203.0.113.0/24": "DE" }, { ipVersion: 4 });
    assert.deepEqual(
      ["32.1.13.184", "::ffff:203.0.113.1", "203.0.113.1", "2001:db8::1", "203.0.114.1"].map((address) => database.countryOf(address)),
      ["US", "DE", "DE", "", ""],
    );
  });
  test("records as several makers write them", () => {
    const city = { city: { names: { en: "Linz" } }, country: { iso_code: "AT", names: { en: "Austria" } }, registered_country: { iso_code: "DE" } };
    const database = opened({
      "192.0.2.0/28": city,
      "192.0.2.16/28": { country_code: "fr" },
      "192.0.2.32/28": { country: "JP", country_name: "Japan" },
      "192.0.2.48/28": { registered_country: { iso_code: "US" } },
      "192.0.2.64/28": { country_code: "ZZ" },
      "192.0.2.80/28": { country: { iso_code: 7 } },
    });
    assert.deepEqual(
      [1, 17, 33, 49, 65, 81].map((last) => database.countryOf(`192.0.2.${last}`)),
      ["AT", "FR", "JP", "", "", ""],
    );
  });
  test("what is no address has none", () => {
    const database = opened({ "0.0.0.0/1": "DE", "8000::/1": "FR" });
    for (const text of ["", "localhost", "1.2.3", "1.2.3.4.5", "unknown", "1.2.3.4, 5.6.7.8", "\0"]) assert.equal(database.countryOf(text), "", text);
  });
});

test("it tells what it is, and when it was built", () => {
  const { type, builtUnixMs } = opened(NETWORKS, { type: "GeoLite2-Country", builtUnixMs: Date.UTC(2026, 9, 20, 12) });
  assert.deepEqual([type, builtUnixMs], ["GeoLite2-Country", Date.UTC(2026, 9, 20, 12)]);
});

test("codes are two letters, in capitals, and mean something", () => {
  assert.deepEqual(["de", "DE", "Fr", "XX", "zz", "T1", "DEU", "D", "", " DE"].map(countryCode), ["DE", "DE", "FR", "", "", "", "", "", "", ""]);
});

describe("a file that cannot be used is refused with what it is:", () => {
  const refusalOf = (file: string): string => {
    const found = openCountryDatabase(file, assert.fail);
    assert.ok("refusal" in found);
    return found.refusal;
  };
  const whole = countryDatabase(NETWORKS);
  test("not there, or no file", () => {
    assert.equal(refusalOf(path.join(folder, "gone.mmdb")), "which cannot be read (ENOENT)");
    assert.equal(refusalOf(folder), "which cannot be read (EISDIR)");
  });
  for (const [what, bytes] of Object.entries({
    empty: "",
    "a text": "country,network\nDE,203.0.113.0/24\n",
    "cut off where it was being fetched": whole.subarray(0, whole.length - 40),
    "the end of one alone": whole.subarray(whole.indexOf("MaxMind.com") - 3),
  }))
    test(what, () => assert.match(refusalOf(written(bytes)), /^a (file that is no|damaged) MaxMind DB$/));
  test("one of networks and their owners", () => {
    const bytes = countryDatabase({ "0.0.0.0/1": { autonomous_system_number: 64496 }, "2000::/3": { autonomous_system_number: 64497 } }, { type: "Test-ASN" });
    assert.equal(refusalOf(written(bytes)), 'a database of another kind ("Test-ASN"): its records name no country');
  });
});

test("a record that cannot be read has no country, and is told once", () => {
  const told: string[] = [];
  const database = opened({ "203.0.113.0/24": "DE" }, { damaged: true }, (reason) => told.push(reason));
  assert.deepEqual([database.countryOf("203.0.113.1"), database.countryOf("203.0.113.2"), database.countryOf("192.0.2.1")], ["", "", ""]);
  assert.equal(told.length, 1);
  assert.match(told[0]!, /^the record of 203\.0\.113\.1 cannot be read: /);
});
