import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { launchChromium } from "./launch-chromium.ts";
import { openShop } from "./open-shop.ts";

const root = join(import.meta.dirname, "..", "..");
const DEADLINE_MS = 20_000;

// The demo's own layout, copied: rules of one line that import the examples from beside the shop.
const project = await mkdtemp(join(tmpdir(), "sluice-project-"));
after(() => rm(project, { recursive: true, force: true }));
await cp(join(root, "rules-examples"), project, { recursive: true, filter: (source) => !/[/\\]\.sluice/.test(source) });
await mkdir(join(project, "node_modules"));
await symlink(root, join(project, "node_modules", "sluice"));
// Of npm's packages, what the demo's rules are bundled with.
await symlink(join(root, "node_modules", "hono"), join(project, "node_modules", "hono"));
const rule = join(project, "security-headers", "rule.ts");
const original = await readFile(rule, "utf8");

const shop = await openShop({ command: "dev", config: join(project, "shop", "sluice.config.ts") });

/** Asks until the answer is as wanted. */
async function until(wanted: (answer: Response) => boolean): Promise<Response> {
  const deadline = AbortSignal.timeout(DEADLINE_MS);
  for (;;) {
    const answer = await fetch(`${shop.url}/products/101`, { headers: { accept: "text/html" }, signal: deadline });
    if (wanted(answer)) return answer;
    await answer.bytes();
  }
}
const frameOptions = (answer: Response) => answer.headers.get("x-frame-options");

test("a saved rule acts on the next requests", async () => {
  await until((answer) => frameOptions(answer) === "DENY");
  await writeFile(rule, original.replace('"DENY"', '"SAMEORIGIN"'));
  const answer = await until((found) => frameOptions(found) === "SAMEORIGIN");
  assert.equal(answer.status, 200);
});

test("a broken save is shown in the browser and the terminal with file, line and column, while the last good release serves", async () => {
  await writeFile(rule, original.replace('"SAMEORIGIN"', '"DENY"').replace("onResponse(res, req) {", "onResponse(res, req) { const oops = ;"));
  await until((answer) => answer.status === 503);
  const line = original.split("\n").findIndex((text) => text.includes("onResponse(res, req) {")) + 1;

  const browser = await launchChromium();
  try {
    const page = await browser.newPage();
    await page.goto(`${shop.url}/products/101`);
    const shown = await page.locator("body").innerText();
    assert.match(shown, new RegExp(`security-headers/rule\\.ts:${line}:\\d+`));
    assert.match(shown, /const oops = ;/);
  } finally {
    await browser.close();
  }
  assert.ok(
    shop.lines.some((text) => text.includes(`security-headers/rule.ts:${line}:`)),
    shop.lines.join("\n"),
  );

  const data = await fetch(`${shop.url}/api/products/101`);
  assert.equal(data.status, 200);
  assert.equal(frameOptions(data), "SAMEORIGIN");

  await writeFile(rule, original);
  const mended = await until((answer) => answer.status === 200);
  assert.equal(frameOptions(mended), "DENY");
});
