import assert from "node:assert/strict";
import { after, test } from "node:test";
import { countryFile } from "../support/country-database.ts";
import { Project } from "./project.ts";

const SOURCES = {
  "rules/german.ts": `import { defineRule } from "sluice"
export default defineRule({
  when: [{ path: "/a" }, { not: { country: "DE" } }],
  onResponse(res) { res.headers.set("x-a", "b") },
})
`,
  "rules/hero.ts": `import { defineExperiment } from "sluice"
export default defineExperiment({
  key: "hero", when: { country: "DE" }, variants: { control: 50, bold: 50 }, goals: { bought: { tracked: "conversion" } },
})
`,
  "rules/all.ts": `import { defineRule, respond } from "sluice"
export default defineRule({ onRequest: (_req, ctx) => (ctx.client.country === "DE" ? respond(200, "hallo") : undefined) })
`,
};

async function warningsOf(config: Record<string, unknown>): Promise<string[]> {
  await using project = await Project.open(SOURCES, { config });
  const { release, warnings = [] } = await project.compile();
  assert.equal(release?.rules.length, 3);
  return warnings.map(({ file, line, column, text }) => `${file}:${line}:${column}: ${text}`);
}

test("rules and experiments that match by country are warned of where the config does not say how countries are known, and compiled", async () => {
  const text = "country matches nothing where the config has no geo key, which says how countries are known; this one has none";
  assert.deepEqual(await warningsOf({}), [`rules/german.ts:3:35: ${text}`, `rules/hero.ts:3:24: ${text}`]);
});

test("with a database nobody is warned", async () => {
  assert.deepEqual(await warningsOf({ geo: { database: countryFile({ after }, { "203.0.113.0/24": "DE" }) } }), []);
});
