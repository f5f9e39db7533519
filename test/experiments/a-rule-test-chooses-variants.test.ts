import assert from "node:assert/strict";
import { test } from "node:test";
import { gateway } from "../../runtime/testing/testing.ts";

const page = '<!doctype html><div class="hero"><a class="cta">See the cups</a></div>';
const gw = await gateway({
  rules: "../../rules-examples/experiment/rule.ts",
  variants: { "hero-offer": "offer" },
  upstreams: { shop: ({ headers }) => ({ headers: { "content-type": "text/html", "x-cookie": headers.get("cookie") ?? "none" }, body: page }) },
});

test("all requests see the variant that the gateway is given, one sees another, and the origin hears nothing of it", async () => {
  const offered = await gw.request("/", { headers: { Cookie: "own=1" } });
  assert.match(offered.text(), /Choose your pot/);
  assert.equal(offered.headers.get("x-cookie"), "own=1");
  assert.equal((await gw.request("/", { variants: { "hero-offer": "control" } })).text(), page);
});

test("variants that there are none of are named, with those that there are", async () => {
  await assert.rejects(
    gw.request("/", { variants: { "hero-offre": "offer" } }),
    /experiment "hero-offre".*hero-offer|"hero-offre" is no experiment.*hero-offer/,
  );
  await assert.rejects(gw.request("/", { variants: { "hero-offer": "ofer" } }), /hero-offer"? has no variant "ofer".*control, offer/);
});
