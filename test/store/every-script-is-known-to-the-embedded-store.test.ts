import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { STORE_SCRIPTS } from "../../runtime/supervisor/store-scripts.ts";

const root = join(import.meta.dirname, "..", "..");

test("every script that a service defines is one that the embedded store's process runs", () => {
  const known = new Set(STORE_SCRIPTS.map(({ name }) => name));
  // Those of the Redis store itself run in Redis alone.
  const defined = globSync("runtime/**/*.ts", { cwd: root }).flatMap((file) =>
    [...readFileSync(join(root, file), "utf8").matchAll(/defineScript\(\{\s*name: "([^"]+)"/g)].map((match) => match[1]!),
  );
  assert.ok(defined.length > 10, `${defined.length} scripts were found`);
  assert.deepEqual(
    defined.filter((name) => !name.startsWith("store:") && !known.has(name)),
    [],
  );
});
