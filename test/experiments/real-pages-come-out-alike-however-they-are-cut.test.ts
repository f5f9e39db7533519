import assert from "node:assert/strict";
import { test } from "node:test";
import { edited } from "./html-pages.ts";
import { EIGHT_EDITS, REAL_PAGES } from "./real-pages.ts";

/** A few of the places, and of the ways to cut at all of them; `npm run prove -- --only html-edits` cuts at each. */
const PLACES = 25;

test("whole pages in fifty shapes, cut anywhere, come out alike", () => {
  assert.equal(REAL_PAGES.length, 50);
  for (const { name, bytes, charset } of REAL_PAGES) {
    const whole = edited(bytes, EIGHT_EDITS, [], { charset });
    assert.ok(!whole.equals(bytes), `${name} is edited at all`);
    for (let i = 1; i <= PLACES; i++) {
      const cut = Math.floor((bytes.length * (i * 0.618)) % bytes.length);
      if (cut > 0) assert.ok(edited(bytes, EIGHT_EDITS, [cut], { charset }).equals(whole), `${name}, cut at ${cut}`);
    }
    for (const size of [1, 3, 61, 1000]) {
      const cuts = Array.from({ length: Math.ceil(bytes.length / size) - 1 }, (_, i) => (i + 1) * size);
      assert.ok(edited(bytes, EIGHT_EDITS, cuts, { charset }).equals(whole), `${name}, in pieces of ${size}`);
    }
  }
});

test("small pages come out alike in every way to cut them", () => {
  for (const text of ["<p><b>x</p>y", "<h1 a=1>é<", "<li>a<li>b", "<!--><h1>"]) {
    const bytes = Buffer.from(text);
    const whole = edited(bytes, EIGHT_EDITS);
    for (let ways = 0; ways < 1 << (bytes.length - 1); ways++) {
      const cuts = Array.from({ length: bytes.length - 1 }, (_, i) => i + 1).filter((_, i) => (ways >> i) & 1);
      if (!edited(bytes, EIGHT_EDITS, cuts).equals(whole)) assert.fail(`${text} cut at ${cuts.join(", ")}`);
    }
  }
});
