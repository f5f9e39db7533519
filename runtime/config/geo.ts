/** The key `geo`: how the country of clients is known. The database is opened here, so that a wrong one is told before anything serves. */
import path from "node:path";
import { openCountryDatabase } from "../geo/geo.ts";
import { isToken } from "../proxy/fields.ts";
import { readsOfMatch } from "../proxy/match/reads.ts";
import { shown } from "./problems.ts";
import type { GeoConfig, ResolvedConfig } from "./resolved.ts";
import type { ConfigInput } from "./schema.ts";
import type { StoreParts } from "./store.ts";

export function geoOf(input: ConfigInput["geo"], { baseDir, report }: StoreParts): GeoConfig | null {
  if (input === undefined) return null;
  const { database, header } = input;
  if (database === undefined && header === undefined) report(["geo"], "found neither database nor header, expected at least one of them");
  if (header !== undefined && !isToken(header)) report(["geo", "header"], `found ${shown(header)}, expected a header name`);
  const databaseFile = database === undefined ? "" : path.resolve(baseDir, database);
  if (databaseFile !== "") {
    const damage: string[] = [];
    const opened = openCountryDatabase(databaseFile, (reason) => void damage.push(reason));
    const [refusal] = "refusal" in opened ? [opened.refusal] : damage;
    if (refusal !== undefined) report(["geo", "database"], `found ${shown(database)}, ${refusal}; expected a MaxMind DB (.mmdb) of countries or cities`);
  }
  return { databaseFile, header: header?.toLowerCase() ?? "" };
}

/** What is no mistake by itself, and will not do what it seems to. */
export function geoWarnings({ geo, routes, trustedProxies }: ResolvedConfig): string[] {
  const warnings: string[] = [];
  if (geo !== null && geo.header !== "" && trustedProxies.length === 0)
    warnings.push(`geo.header: "${geo.header}" is believed from trustedProxies alone, and there are none`);
  if (geo === null)
    for (const [i, { match }] of routes.entries())
      if (readsOfMatch(match).includes("country"))
        warnings.push(`routes[${i}].match: country matches nothing: the config has no geo key, which says how countries are known`);
  return warnings;
}
