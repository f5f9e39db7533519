/** Test data from outside, not in this repository: in `$SLUICE_CONFORMANCE`, or in `../shared/conformance` beside the checkout. */
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";

const FOLDER = process.env["SLUICE_CONFORMANCE"] ?? resolve(import.meta.dirname, "../../../shared/conformance");

/** The JSON of `name`. Without the file nothing is shown, which is a failure: the process ends with 1 and says what is missing. */
export function outsideData(name: string): unknown {
  const file = join(FOLDER, name);
  if (!existsSync(file)) {
    process.stdout.write(`${file} is not there: put the data there, or name its folder in SLUICE_CONFORMANCE (see test/conformance/data.ts)\n`);
    process.exit(1);
  }
  return JSON.parse(readFileSync(file, "utf8"));
}
