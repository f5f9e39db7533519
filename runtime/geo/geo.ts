/** The door: a database of countries in the MaxMind DB format (version 2.0 of its specification), held in memory, asked by address. */
import { readFileSync, statSync } from "node:fs";
import { isIP } from "node:net";
import { LRUCache } from "lru-cache";
import { Reader } from "mmdb-lib";

export interface CountryDatabase {
  /** As its maker calls it: "GeoLite2-Country". */
  readonly type: string;
  readonly builtUnixMs: number;
  /** ISO 3166 code in capitals; "" where none is known. Never throws. */
  countryOf(address: string): string;
}

/** What is wrong with a file, behind "found FILE, ". */
export interface Refusal {
  readonly refusal: string;
}

/** Databases of cities have some 130 MB. */
const MAX_FILE_BYTES = 1024 * 1024 * 1024;
/** Addresses whose country is remembered: some 100 bytes each. */
const MAX_REMEMBERED = 10_000;
const CODE = /^[A-Za-z]{2}$/;
/** Made up by data sources for "unknown". */
const NO_COUNTRY: ReadonlySet<string> = new Set(["XX", "ZZ"]);
/** IPv4 as IPv6 writes it (RFC 4291 section 2.5.5.2); trees need not hold it a second time. */
const MAPPED = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i;

/** Reads the whole file. `onDamage` is told once, when an answer cannot be read: then it is "". */
export function openCountryDatabase(file: string, onDamage: (reason: string) => void): CountryDatabase | Refusal {
  let bytes: Buffer;
  try {
    const { size } = statSync(file);
    if (size > MAX_FILE_BYTES) return { refusal: `a file of ${size} bytes` };
    bytes = readFileSync(file);
  } catch (thrown) {
    return { refusal: `which cannot be read (${(thrown as NodeJS.ErrnoException).code})` };
  }
  let reader: Reader<never>;
  try {
    reader = new Reader<never>(bytes);
    const { binaryFormatMajorVersion, searchTreeSize, nodeCount, ipVersion } = reader.metadata;
    if (binaryFormatMajorVersion !== 2) return { refusal: `a MaxMind DB of format ${binaryFormatMajorVersion}` };
    if (!(nodeCount > 0) || searchTreeSize >= bytes.length || (ipVersion !== 4 && ipVersion !== 6)) return { refusal: "a damaged MaxMind DB" };
  } catch {
    // The library says what it tripped over, which tells nobody more than that.
    return { refusal: "a file that is no MaxMind DB" };
  }
  const database = new Database(reader, onDamage);
  return database.lacksCountries() ? { refusal: `a database of another kind ("${database.type}"): its records name no country` } : database;
}

/** ISO 3166 code in capitals; "" for anything else, and for what stands for "unknown". */
export function countryCode(text: string): string {
  if (!CODE.test(text)) return "";
  const code = text.toUpperCase();
  return NO_COUNTRY.has(code) ? "" : code;
}

class Database implements CountryDatabase {
  readonly type: string;
  readonly builtUnixMs: number;
  readonly #reader: Reader<never>;
  readonly #onlyIpv4: boolean;
  readonly #known = new LRUCache<string, string>({ max: MAX_REMEMBERED });
  readonly #onDamage: (reason: string) => void;
  #isDamaged = false;

  constructor(reader: Reader<never>, onDamage: (reason: string) => void) {
    const { databaseType, buildEpoch, ipVersion } = reader.metadata;
    this.#reader = reader;
    this.#onDamage = onDamage;
    this.#onlyIpv4 = ipVersion === 4;
    this.type = String(databaseType);
    this.builtUnixMs = buildEpoch.getTime();
  }

  countryOf(address: string): string {
    let country = this.#known.get(address);
    if (country === undefined) this.#known.set(address, (country = countryIn(this.#record(address))));
    return country;
  }

  /** Are there records all over the address space, and no country in any? One that holds a few networks only is not judged. */
  lacksCountries(): boolean {
    let found = 0;
    for (const address of SAMPLES) {
      const record = this.#record(address);
      if (record === null) continue;
      if (countryIn(record) !== "") return false;
      found++;
    }
    return found > 0;
  }

  #record(address: string): unknown {
    const plain = MAPPED.exec(address)?.[1] ?? address;
    const version = isIP(plain);
    // In a tree of IPv4 alone the library would follow the first 32 bits of an IPv6 address.
    if (version === 0 || (version === 6 && this.#onlyIpv4)) return null;
    try {
      return this.#reader.get(plain);
    } catch (thrown) {
      if (!this.#isDamaged) this.#onDamage(`the record of ${plain} cannot be read: ${thrown instanceof Error ? thrown.message : String(thrown)}`);
      this.#isDamaged = true;
      return null;
    }
  }
}

/** `{ country: { iso_code } }` (MaxMind, DB-IP), `{ country_code }` (ip-location-db, IPinfo) or `{ country }`. */
function countryIn(record: unknown): string {
  if (typeof record !== "object" || record === null) return "";
  const { country, country_code: flat } = record as { country?: unknown; country_code?: unknown };
  const code = typeof country === "object" && country !== null ? (country as { iso_code?: unknown }).iso_code : (flat ?? country);
  return typeof code === "string" ? countryCode(code) : "";
}

/** One address in each /8 that is in use, and in the large parts of IPv6 that are given out. */
const SAMPLES: readonly string[] = [
  ...Array.from({ length: 223 }, (_, i) => `${i + 1}.32.0.1`),
  ...["2001:200", "2001:4860", "2400:cb00", "2600:1f00", "2800:3f0", "2a00:1450", "2a02:26f0", "2c0f:fb50"].map((prefix) => `${prefix}::1`),
];
