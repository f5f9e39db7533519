/** Which country a client is in: by what a trusted proxy says, else by its address. Nothing is looked up before somebody asks. */
import type { GeoConfig } from "../config/resolved.ts";
import { type CountryDatabase, countryCode, openCountryDatabase } from "../geo/geo.ts";
import type { Fields } from "./fields.ts";
import type { Client } from "./forwarded.ts";

export interface Countries {
  /** What the request itself says; null: nothing that counts. Called once, before anybody sees the fields: what nobody vouches for is taken out. */
  told(fields: Fields, client: Client): string | null;
  /** ISO 3166 code, or "". */
  at(address: string): string;
}

type Note = (level: "info" | "warn" | "error", text: string) => void;

/**
 * Null: nobody knows. A database that has gone bad since config was read is told, and then no address has a country: that must not keep a worker from
 * serving.
 */
export function countriesOf(geo: GeoConfig | null, note: Note): Countries | null {
  if (geo === null) return null;
  return new GivenCountries(geo.header, geo.databaseFile === "" ? null : openedDatabase(geo.databaseFile, note));
}

function openedDatabase(file: string, note: Note): CountryDatabase | null {
  const opened = openCountryDatabase(file, (reason) => note("warn", `geo.database: ${reason}`));
  if ("refusal" in opened) {
    note("error", `geo.database: found ${file}, ${opened.refusal}; clients have no country by their address until the next reload`);
    return null;
  }
  note("info", `geo.database: "${opened.type}", built on ${new Date(opened.builtUnixMs).toISOString().slice(0, 10)}`);
  return opened;
}

class GivenCountries implements Countries {
  readonly #header: string;
  readonly #database: CountryDatabase | null;

  constructor(header: string, database: CountryDatabase | null) {
    this.#header = header;
    this.#database = database;
  }
  told(fields: Fields, { trusted }: Client): string | null {
    if (this.#header === "") return null;
    if (!trusted) {
      fields.delete(this.#header);
      return null;
    }
    const said = fields.joined(this.#header);
    // Of several the last one is of the nearest proxy.
    const code = said === undefined ? "" : countryCode(said.slice(said.lastIndexOf(",") + 1).trim());
    return code === "" ? null : code;
  }
  at(address: string): string {
    return this.#database === null ? "" : this.#database.countryOf(address);
  }
}
