import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, test } from "node:test";
import { gateway } from "../../runtime/testing/testing.ts";

const folder = mkdtempSync(path.join(tmpdir(), "sluice-rule-tests-"));
after(() => rmSync(folder, { recursive: true }));
const file = path.join(folder, "offers.ts");
writeFileSync(
  file,
  `import { defineRule, respond } from "sluice";
export default defineRule({
  when: { path: "/offers", country: ["AT", "DE"] },
  onRequest: (_req, ctx) => respond(200, \`Angebote in \${ctx.client.country}\`),
});
`,
);
const gw = await gateway({
  rules: file,
  upstreams: {
    shop: ({ headers }) =>
      headers
        .entries()
        .map(([name]) => name)
        .join(),
  },
});

test("a request comes from the country that the test says, each from its own, and the origin hears nothing of it", async () => {
  assert.equal((await gw.request("/offers", { country: "AT" })).text(), "Angebote in AT");
  const crowd = await Promise.all(["DE", "FR", "AT", "DE"].map((country) => gw.request("/offers", { country })));
  assert.deepEqual(
    crowd.map((res) => (res.from === "rule" ? res.text() : res.from)),
    ["Angebote in DE", "upstream", "Angebote in AT", "Angebote in DE"],
  );
  const [, elsewhere] = crowd;
  assert.doesNotMatch(elsewhere!.text(), /country/);
});

test("without it nobody knows where it comes from", async () => {
  assert.equal((await gw.request("/offers")).from, "upstream");
  assert.equal((await gw.request("/offers", { country: "" })).from, "upstream");
});

test("what is no code is told", async () => {
  await assert.rejects(gw.request("/offers", { country: "Austria" }), /country: found "Austria", expected a code of two capitals, such as "DE"/);
});
