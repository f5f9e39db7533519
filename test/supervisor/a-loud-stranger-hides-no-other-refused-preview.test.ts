import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock } from "../../runtime/clock.ts";
import type { FromWorker } from "../../runtime/supervisor/messages.ts";
import { WantedReleases } from "../../runtime/supervisor/wanted-releases.ts";

test("a worker tells ten refused previews of an address in a minute, then how many more there were, and those of others all the same", () => {
  const clock = new ManualClock(0, Date.UTC(2026, 0, 1));
  const said: FromWorker[] = [];
  const wanted = new WantedReleases(clock, (message) => void said.push(message));
  for (let i = 0; i < 500; i++) wanted.refused("", "it was changed", "192.0.2.1");
  wanted.refused("0123456789ab", "it has expired", "198.51.100.7");
  assert.equal(said.length, 11);
  assert.deepEqual(said.at(-1), { kind: "preview-refused", release: "0123456789ab", reason: "it has expired", address: "198.51.100.7" });
  clock.advance(60_000);
  wanted.refused("", "it was changed", "198.51.100.7");
  assert.deepEqual(said.slice(11), [
    { kind: "preview-refused", release: "", reason: "and 490 more of refused previews: 490 from 192.0.2.1", address: "" },
    { kind: "preview-refused", release: "", reason: "it was changed", address: "198.51.100.7" },
  ]);
});
