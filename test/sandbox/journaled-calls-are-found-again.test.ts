import assert from "node:assert/strict";
import { test } from "node:test";
import { Journal } from "../../runtime/sandbox/journal.ts";
import { OffenceBook, OFFENCES_TO_QUARANTINE } from "../../runtime/sandbox/quarantine.ts";

test("a re-run that numbers its parallel calls in another order gets each its own reply, equals in their order", () => {
  const journal = new Journal("id");
  const first = journal.add(1, 0, "fetch", "a");
  const second = journal.add(2, 0, "fetch", "b");
  const third = journal.add(3, 0, "fetch", "b");
  assert.equal(journal.claim(4, 0, "fetch", "a"), undefined, "taken in this attempt");
  journal.restart();
  assert.equal(journal.claim(1, 0, "fetch", "b"), second);
  assert.equal(journal.claim(2, 0, "fetch", "b"), third);
  assert.equal(journal.claim(3, 0, "fetch", "a"), first);
  assert.equal(journal.claim(4, 1, "fetch", "a"), undefined, "another rule's");
  assert.equal(new Set([first, second, third].map((entry) => entry.idempotencyId)).size, 3);
});

test("a rule goes into quarantine at one offence, once, and never when quarantine is off", () => {
  const book = new OffenceBook(true, () => 0);
  const off = new OffenceBook(false, () => 0);
  const told: number[] = [];
  for (let offence = 1; offence <= OFFENCES_TO_QUARANTINE + 2; offence++) {
    if (book.offend(3, 0)) told.push(offence);
    assert.equal(off.offend(3, 0), false);
  }
  assert.deepEqual(told, [OFFENCES_TO_QUARANTINE]);
  assert.deepEqual(book.quarantined(), [3]);
  assert.equal(off.isQuarantined(3), false);
  assert.equal(off.hasOffended(3), true);
});

test("quarantine ends by itself, and lasts twice as long each time, up to a quarter of an hour", () => {
  let nowMs = 0;
  const book = new OffenceBook(true, () => nowMs);
  for (const minutes of [1, 2, 4, 8, 15, 15]) {
    for (let offence = 1; offence <= OFFENCES_TO_QUARANTINE; offence++) assert.equal(book.offend(0, 0), offence === OFFENCES_TO_QUARANTINE);
    nowMs += minutes * 60_000 - 1;
    assert.equal(book.isQuarantined(0), true);
    assert.equal(book.offend(0, 0), false, "told once");
    nowMs += 1;
    assert.deepEqual(book.quarantined(), []);
  }
});

test("a rule that does its work for most is not taken from all by a few requests, unless they are many or all there is", () => {
  let nowMs = 0;
  const book = new OffenceBook(true, () => nowMs);
  let well = 1_000;
  for (let offence = 1; offence <= 11; offence++) assert.equal(book.offend(0, (well += 50)), false, `offence ${offence}`);
  nowMs += 300_001;
  for (let offence = 1; offence <= 11; offence++) assert.equal(book.offend(0, (well += 50)), false, `offence ${offence} of a new window`);
  assert.equal(book.offend(0, (well += 50)), true, "the twelfth of a window");
  const other = new OffenceBook(true, () => 0);
  assert.deepEqual(
    [100, 109, 118].map((runs) => other.offend(0, runs)),
    [false, false, true],
    "what went well before the first offence is no excuse",
  );
});
