/**
 * The country of an address: known from before, and found in a database of some 60,000 networks; and what a request costs that nobody asks for its country.
 * Run: node --conditions=sluice-source bench/micro/geo.ts [FILE.mmdb]
 */
import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { bench, do_not_optimize, run, summary } from "mitata";
import { openCountryDatabase } from "../../runtime/geo/geo.ts";
import { Asked } from "../../runtime/proxy/asked.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import { countryDatabase } from "../../test/support/country-database.ts";

const COUNTRIES = ["AT", "BR", "DE", "FR", "JP", "US"];

function made(): string {
  const file = path.join(tmpdir(), `sluice-bench-${process.pid}.mmdb`);
  const networks = Object.fromEntries(Array.from({ length: 57_088 }, (_, i) => [`${(i >> 8) + 1}.${i & 255}.0.0/16`, COUNTRIES[i % COUNTRIES.length]!]));
  writeFileSync(file, countryDatabase(networks));
  process.on("exit", () => rmSync(file));
  return file;
}

const database = openCountryDatabase(process.argv[2] ?? made(), (reason) => {
  throw new Error(reason);
});
if ("refusal" in database) throw new Error(database.refusal);

let next = 0;
const address = (): string => {
  next = (next + 7_919) % 57_088;
  return `${(next >> 8) + 1}.${next & 255}.3.4`;
};
summary(() => {
  bench("an address that came before", () => do_not_optimize(database.countryOf("203.7.3.4")));
  // 57,088 in turn: the memory holds 10,000.
  bench("an address that did not", () => do_not_optimize(database.countryOf(address())));
});

const request = { method: "GET", scheme: "http", authority: "example.com", target: "/products/17?colour=river", fields: Fields.of() } as const;
const plain = { country: "" };
summary(() => bench("a request to be matched, whose country nobody asks for", () => do_not_optimize(new Asked({ ...request }, request.fields, plain))));
await run();
