import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { root } from "./imports.ts";

interface Lock {
  readonly packages: Readonly<Record<string, { version?: string; resolved?: string; optionalDependencies?: Readonly<Record<string, string>> }>>;
}
const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as Lock;

test("packages for every platform are named, or npm ci refuses the lock file (node .ci/complete-lock.js adds them)", () => {
  const missing = Object.values(lock.packages).flatMap(({ optionalDependencies = {} }) =>
    Object.keys(optionalDependencies).filter((name) => !lock.packages[`node_modules/${name}`]?.version),
  );
  assert.deepEqual(missing, []);
});

test("no package is tied to one registry's address", () => {
  assert.deepEqual(
    Object.entries(lock.packages).flatMap(([path, { resolved }]) =>
      resolved?.startsWith("http") && !resolved.startsWith("https://registry.npmjs.org/") ? [path] : [],
    ),
    [],
  );
});
