/**
 * compileMatcher: what one request costs when 1 and when 10,000 entries stand in the table, of which one matches.
 * Run: node --conditions=sluice-source bench/micro/match.ts
 */
import { bench, do_not_optimize, run, summary } from "mitata";
import { Fields } from "../../runtime/proxy/fields.ts";
import { compileMatcher } from "../../runtime/proxy/match/compile-matcher.ts";
import type { MatchEntry, Matchable, MatchSpec } from "../../runtime/proxy/match/match.ts";

const kinds: Record<string, (index: number) => MatchSpec> = {
  "literal path": (index) => ({ path: `/section-${index}/page` }),
  "path with a group": (index) => ({ path: `/section-${index}/:id` }),
  "text before a group": (index) => ({ path: `/section-${index}-:id` }),
  host: (index) => ({ host: `site-${index}.example.com`, path: "/*" }),
  "wildcard host": (index) => ({ host: `*.site-${index}.example.com`, path: "/*" }),
};
const fields = Fields.of(["user-agent", "bench"], ["accept", "*/*"]);
const requests: Record<string, Pick<Matchable, "host" | "path">> = {
  "literal path": { host: "example.com", path: "/section-0/page" },
  "path with a group": { host: "example.com", path: "/section-0/17" },
  "text before a group": { host: "example.com", path: "/section-0-17" },
  host: { host: "site-0.example.com", path: "/page" },
  "wildcard host": { host: "www.site-0.example.com", path: "/page" },
};

for (const [kind, specOf] of Object.entries(kinds)) {
  const request: Matchable = { ...requests[kind]!, method: "GET", query: "", fields, country: "" };
  summary(() => {
    for (const count of [1, 10_000]) {
      const entries: MatchEntry[] = Array.from({ length: count }, (_, index) => ({ specs: [specOf(index)] }));
      const matcher = compileMatcher(entries);
      if (matcher.all(request).indices.length !== 1) throw new Error(`${kind}: expected one match`);
      bench(`${kind}, 1 of ${count}`, () => do_not_optimize(matcher.all(request)));
    }
  });
}
await run();
