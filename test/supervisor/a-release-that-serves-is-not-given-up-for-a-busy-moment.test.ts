import assert from "node:assert/strict";
import { test } from "node:test";
import { resolveConfig } from "../../runtime/config/config.ts";
import type { Taken } from "../../runtime/control/release-shelf.ts";
import { ReleaseInspections } from "../../runtime/supervisor/release-inspections.ts";
import { packed } from "../control/fleet-of-followers.ts";

const config = resolveConfig({ upstreams: { a: { targets: ["http://127.0.0.1:9"] } } }, { baseDir: "/", file: "" });
const taken: Taken = { release: packed("one"), maps: {}, signedBy: "" };

/** Has a problem so many times, and counts how often it was asked. */
function inspections(problems: number): { readonly inspections: ReleaseInspections; asked(): number } {
  let asked = 0;
  const made = new ReleaseInspections({ of: () => config }, (_config, release) =>
    Promise.resolve({ problem: ++asked <= problems ? "a.ts: could not be evaluated" : "", differs: "", release }),
  );
  return { inspections: made, asked: () => asked };
}

test("what serves already is evaluated once more; what is proposed is refused", async () => {
  const started = inspections(1);
  assert.equal((await started.inspections.toServe(taken, false)).release.id, taken.release.release.id);
  assert.equal(started.asked(), 2);
  const proposed = inspections(1);
  await assert.rejects(proposed.inspections.toServe(taken, true), /could not be evaluated/);
  let fails = true;
  const torn = new ReleaseInspections({ of: () => config }, (_config, release) => {
    if (!fails) return Promise.resolve({ problem: "", differs: "", release });
    fails = false;
    return Promise.reject(new Error("its process did not start in time"));
  });
  assert.equal((await torn.toServe(taken, false)).release.id, taken.release.release.id);
  const broken = inspections(9);
  await assert.rejects(broken.inspections.toServe(taken, false), /could not be evaluated/);
  assert.equal(broken.asked(), 2);
});
