import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ERRORS } from "../../runtime/errors.ts";

const DOCUMENT = readFileSync(join(import.meta.dirname, "../../runtime/ERRORS.md"), "utf8");

test("ERRORS.md and the table of codes say the same, both ways", () => {
  const documented = [...DOCUMENT.matchAll(/^\| `([A-Z_]+)` \| (\d+) \| (\w+) \| (yes|no) \| (.+?) \| (.+?) \|$/gm)].map(
    ([, code, status, source, retryable, meaning, action]) => [code, Number(status), source, retryable === "yes", meaning, action],
  );
  const table = Object.entries(ERRORS).map(([code, { status, source, retryable, meaning, action }]) => [
    code,
    status || 499,
    source,
    retryable,
    meaning,
    action,
  ]);
  assert.deepEqual(documented, table);
});
