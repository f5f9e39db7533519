import assert from "node:assert/strict";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { root, sourceFiles } from "./imports.ts";

const files = sourceFiles("sdk", "runtime", "rules-examples", "bench", "test").filter((file) => file !== "test/structure/sources-keep-the-house-rules.test.ts");
const texts = files.map((file) => ({ file, text: readFileSync(join(root, file), "utf8") }));

/** Files in which `pattern` stands, with the line. */
function found(pattern: RegExp, chosen: (file: string) => boolean = () => true): string[] {
  return texts.flatMap(({ file, text }) =>
    chosen(file) ? text.split("\n").flatMap((line, i) => (pattern.test(line) ? [`${file}:${i + 1}: ${line.trim().slice(0, 100)}`] : [])) : [],
  );
}

test("no check is switched off where it stands", () => {
  assert.deepEqual(found(/@ts-(ignore|nocheck)|(ox|es)lint-disable|prettier-ignore/), []);
});

test("no test is skipped, left for later, or run alone", () => {
  assert.deepEqual(
    found(/\b(test|it|describe|suite)\.(only|skip|todo)\b|\b(skip|todo|only): (true|")/, (file) => file.endsWith(".test.ts")),
    [],
  );
});

test("no file is named for what could be anything", () => {
  assert.deepEqual(
    files.filter((file) => /(^|[/-])(utils?|helpers?|manager|misc|common)(\.|\/|-)/.test(file)),
    [],
  );
});

test("every room has a README", () => {
  const rooms = readdirSync(join(root, "runtime")).filter((name) => statSync(join(root, "runtime", name)).isDirectory());
  assert.deepEqual(
    rooms.filter((room) => !readdirSync(join(root, "runtime", room)).includes("README.md")),
    [],
  );
});
