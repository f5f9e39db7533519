/** The Web Platform Tests' data for URL (parsing and setters) through the sandbox's URL, in a bare V8 context. */
import { createWebContext } from "../sandbox/web-context.ts";
import { outsideData } from "./data.ts";

/** Where we differ from the data, and why; by what the check below calls the case. */
const LISTED: Readonly<Record<string, string>> = {};

const PARSE = `
  const failures = []; let count = 0;
  for (const test of JSON.parse(data)) {
    if (typeof test === "string") continue;
    count++;
    const name = JSON.stringify([test.input, test.base]);
    const url = test.base === null ? URL.parse(test.input) : URL.parse(test.input, test.base);
    if (test.failure) { if (url !== null) failures.push([name, "parsed as " + url.href]); continue; }
    if (url === null) { failures.push([name, "refused"]); continue; }
    for (const key of Object.keys(test)) {
      if (!(key in url) || key === "searchParams") continue;
      if (url[key] !== test[key]) { failures.push([name, key + ": " + url[key] + " instead of " + test[key]]); break; }
    }
    if (test.searchParams !== undefined && url.searchParams.toString() !== test.searchParams) failures.push([name, "searchParams: " + url.searchParams]);
  }
  return [count, failures];`;

const SET = `
  const failures = []; let count = 0;
  for (const [property, tests] of Object.entries(JSON.parse(data))) {
    if (property === "comment") continue;
    for (const test of tests) {
      count++;
      const name = property + " " + JSON.stringify([test.href, test.new_value]);
      const url = new URL(test.href);
      try { url[property] = test.new_value; } catch (error) { failures.push([name, "threw " + error.message]); continue; }
      for (const [key, expected] of Object.entries(test.expected)) {
        if (url[key] !== expected) { failures.push([name, key + ": " + url[key] + " instead of " + expected]); break; }
      }
    }
  }
  return [count, failures];`;

const web = await createWebContext();
let passed = 0;
let failed = 0;
let listed = 0;
for (const [script, file] of [
  [PARSE, "urltestdata.json"],
  [SET, "setters_tests.json"],
] as const) {
  const [count, failures] = (await web.run(`const data = ${JSON.stringify(JSON.stringify(outsideData(file)))}; ${script}`)) as [number, [string, string][]];
  passed += count - failures.length;
  for (const [name, found] of failures) {
    if (LISTED[name] === undefined) failed++;
    else listed++;
    console.log(LISTED[name] === undefined ? `FAILED ${name}: ${found}` : `listed: ${name}: ${LISTED[name]}`);
  }
}
console.log(`url: ${passed} passed, ${failed} failed, ${listed} listed`);
web.dispose();
process.exitCode = failed > 0 ? 1 : 0;
