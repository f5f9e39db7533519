import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { BrowserContext, Page } from "playwright-core";
import { launchChromium } from "./launch-chromium.ts";
import { openShop } from "./open-shop.ts";

const shop = await openShop();
const browser = await launchChromium();
after(() => browser.close());

/** A page of a fresh visitor; fails the test on anything that the browser complains about. */
async function visit(run: (page: Page, context: BrowserContext) => Promise<void>, userAgent?: string): Promise<void> {
  const context = await browser.newContext({ baseURL: shop.url, viewport: { width: 1280, height: 900 }, ...(userAgent === undefined ? {} : { userAgent }) });
  const page = await context.newPage();
  page.setDefaultTimeout(15_000);
  const complaints: string[] = [];
  page.on("console", (message) => message.type() === "error" && complaints.push(message.text()));
  page.on("pageerror", (error) => complaints.push(error.message));
  try {
    await run(page, context);
    assert.deepEqual(complaints, []);
  } finally {
    await context.close();
  }
}

test("the home page shows its headline, its pictures and its styles, and its script runs", () =>
  visit(async (page) => {
    await page.goto("/");
    assert.match(await page.locator("h1").innerText(), /^(Pots for every day|Drink from something better)$/);
    await page.waitForFunction('document.documentElement.dataset.script === "ran"');
    for (const picture of await page.locator("img").all()) {
      await picture.scrollIntoViewIfNeeded();
      await picture.evaluate((image: unknown) => (image as { decode(): Promise<void> }).decode());
    }
    assert.equal(await page.evaluate('getComputedStyle(document.querySelector(".basket")).backgroundColor'), "rgb(43, 38, 34)");
    assert.match(await page.locator("footer code").innerText(), /^127\.0\.0\.1:\d+$/);
  }));

test("a visitor keeps the home page that the split has given, over reloads", () =>
  visit(async (page, context) => {
    await page.goto("/");
    const copy = await page.locator(".hero").getAttribute("data-copy");
    for (let i = 0; i < 4; i++) {
      await page.reload();
      assert.equal(await page.locator(".hero").getAttribute("data-copy"), copy);
    }
    await context.clearCookies();
    await context.addCookies([{ name: "home-copy", value: copy === "bold" ? "plain" : "bold", url: shop.url }]);
    await page.reload();
    assert.notEqual(await page.locator(".hero").getAttribute("data-copy"), copy);
    assert.equal(new URL(page.url()).pathname, "/");
  }));

test("an old address ends on the page that took its place", () =>
  visit(async (page) => {
    await page.goto("/shop/vases");
    assert.equal(new URL(page.url()).pathname, "/categories/vases");
    assert.equal(await page.locator("a.product").count(), 4);
  }));

test("a visitor signs in and out again", () =>
  visit(async (page) => {
    await page.goto("/account");
    assert.equal(new URL(page.url()).pathname, "/login");
    await page.getByLabel("Name").fill("ada");
    await page.getByLabel("Password").fill("clay");
    await page.getByRole("button", { name: "Sign in" }).click();
    await page.waitForURL("**/account");
    assert.equal(await page.locator("h1").innerText(), "Hello, ada");
    await page.getByRole("link", { name: "Sign out" }).click();
    await page.waitForURL("**/");
    await page.goto("/account");
    assert.equal(new URL(page.url()).pathname, "/login");
  }));

test("a visitor fills the basket and orders", () =>
  visit(async (page) => {
    await page.goto("/p/301");
    await page.getByRole("button", { name: "Into the basket" }).click();
    assert.equal(await page.locator("[data-basket-count]").innerText(), "1");
    await page.goto("/checkout");
    await page.getByText("1 × Reed vase").waitFor();
    await page.getByLabel("Name").fill("Ada L.");
    await page.getByLabel("E-mail").fill("ada@example.com");
    await page.getByLabel("Street").fill("Mill Lane 3");
    await page.getByLabel("Town").fill("Weir");
    await page.getByRole("button", { name: "Order now" }).click();
    await page.waitForURL("**/checkout/thanks*");
    assert.equal(await page.locator("h1").innerText(), "Thank you, Ada L.");
  }));

test("some visitors see the offer of an experiment, shown as it is meant, and keep it; others see the page as it is; a browser that says it is none does, too", async () => {
  // A headless browser counts as a bot, which sees control.
  await visit(async (page) => {
    await page.goto("/");
    assert.equal(await page.locator(".offer").count(), 0);
  });
  const seen = new Set<boolean>();
  for (let visitors = 0; visitors < 60 && seen.size < 2; visitors++) {
    await visit(async (page) => {
      await page.goto("/");
      const offered = (await page.locator(".hero .offer").count()) === 1;
      seen.add(offered);
      const button = await page.locator(".hero a.cta").innerText();
      assert.equal(button === "Choose your pot", offered);
      if (offered) assert.equal(await page.evaluate('getComputedStyle(document.querySelector(".hero .offer")).fontWeight'), "600");
      await page.reload();
      assert.equal((await page.locator(".hero .offer").count()) === 1, offered);
    }, "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36");
  }
  assert.equal(seen.size, 2);
});
