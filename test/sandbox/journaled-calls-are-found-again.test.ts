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
  const book = new OffenceBook(true);
  const off = new OffenceBook(false);
  const told: number[] = [];
  for (let offence = 1; offence <= OFFENCES_TO_QUARANTINE + 2; offence++) {
    if (book.offend(3)) told.push(offence);
    assert.equal(off.offend(3), false);
  }
  assert.deepEqual(told, [OFFENCES_TO_QUARANTINE]);
  assert.deepEqual(book.quarantined(), [3]);
  assert.equal(off.isQuarantined(3), false);
  assert.equal(off.hasOffended(3), true);
});
