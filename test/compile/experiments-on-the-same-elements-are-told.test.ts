import assert from "node:assert/strict";
import { test } from "node:test";
import { overlapsOf } from "../../runtime/compile/experiment-overlaps.ts";
import type { ExperimentData } from "../../runtime/experiments/experiment-data.ts";
import { defineExperiment, html, type ExperimentInit } from "../../sdk/index.ts";

type More = Partial<Pick<ExperimentInit, "when" | "device" | "layer">>;

function editing(key: string, selector: string, { when, device, layer }: More): ExperimentData {
  const defined = defineExperiment({
    key,
    variants: { control: 50, other: 50 },
    goals: { bought: { tracked: "conversion" } },
    apply: { other: { html: [html.setText(selector, "x")] } },
    ...(when === undefined ? {} : { when }),
    ...(device === undefined ? {} : { device }),
    ...(layer === undefined ? {} : { layer }),
  });
  return { ...defined, audience: false, unit: "visitor" };
}

const pairs: readonly (readonly [one: string, more: More, two: string, more: More, met: boolean])[] = [
  ["main h1", {}, "h1", {}, true],
  ["h1", {}, "h1.big", {}, true],
  ["h1", {}, "p, main > h1", {}, true],
  ["*", {}, "a[href]:first-child", {}, true],
  ["main", {}, "main > p", {}, true],
  ["main > p b", {}, "p", {}, true],
  ["main > p", {}, "main > a", {}, false],
  ["h1.big", {}, "h1.small", {}, false],
  ["h1", { when: { path: "/a/*" } }, "h1", { when: { path: "/a/b" } }, true],
  ["h1", { when: { path: "/a/:id" } }, "h1", { when: { path: "/a/b" } }, true],
  ["h1", { when: { path: "/a/:id" } }, "h1", { when: { path: "/b/:id" } }, false],
  ["h1", { when: { path: "/a" } }, "h1", { when: { path: ["/b", "/c"] } }, false],
  ["h1", { when: [{ path: "/a" }, { path: "/c" }] }, "h1", { when: { path: ["/b", "/c"] } }, true],
  ["h1", { when: { host: "*.example.com" } }, "h1", { when: { host: "shop.example.com" } }, true],
  ["h1", { when: { host: "a.example.com" } }, "h1", { when: { host: "b.example.com" } }, false],
  ["h1", { when: { cookie: { plan: "pro" } } }, "h1", { when: { cookie: { plan: "free" } } }, false],
  ["h1", { when: { cookie: { plan: "pro" } } }, "h1", { when: { cookie: { plan: false } } }, false],
  ["h1", { when: { query: { v: "a*" } } }, "h1", { when: { query: { v: "ab" } } }, true],
  ["h1", { device: "mobile" }, "h1", { device: ["desktop", "tablet"] }, false],
  ["h1", { layer: "hero" }, "h1", { layer: "hero" }, false],
  ["h1", { layer: "hero" }, "h1", { layer: "foot" }, true],
];

test("experiments meet where one selects what the other does, on pages that both are for, outside a common layer", () => {
  for (const [one, oneMore, two, twoMore, met] of pairs) {
    const found = overlapsOf(editing("b", two, twoMore), editing("a", one, oneMore));
    assert.equal(found.length, met ? 1 : 0, JSON.stringify([one, oneMore, two, twoMore, found]));
    if (met) assert.deepEqual(found[0]!.path, ["apply", "other", "html", 0, 0]);
  }
});

test("scripts and styles beside each other touch no element of the page", () => {
  const inserting = { ...editing("b", "h1", {}), variants: [{ key: "x", weight: 1, changes: { html: [html.insertScript("a()")] } }] };
  assert.deepEqual(overlapsOf(inserting, editing("a", "head, body", {})), []);
});
