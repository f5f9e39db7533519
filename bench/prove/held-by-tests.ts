/** Claims that named tests hold: they are run, and counted. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { PACKAGE_ROOT } from "../load/checkout.ts";
import { find } from "../load/processes.ts";
import { type Claim, type Finding, judged } from "./claim.ts";

const CHROMIUM_MISSING = 'Chromium is missing: install it with "sudo apt-get install chromium", or name it in SLUICE_CHROMIUM.';

export const projects: Claim = {
  name: "projects",
  asked: "a project made by init in an empty folder outside the checkout, and the package from npm pack in another: check, test, dev work",
  when: "always",
  measure: () => runTests(["test/e2e/a-new-project-checks-tests-and-serves.test.ts", "test/e2e/the-packed-package-works-by-itself.test.ts"]),
};

export const seenInBrowser: Claim = {
  name: "seen-in-browser",
  asked: "the five examples, the demo page and the error page: seen in Chromium",
  when: "always",
  measure: () => runTests(["test/e2e/a-visitor-shops-in-a-real-browser.test.ts", "test/e2e/a-saved-rule-acts-at-once-and-a-broken-one-is-shown.test.ts"]),
};

export const fixtureErrors: Claim = {
  name: "fixture-errors",
  asked: "12 mistakes in rules and config: the exact line in 12 of 12; no path of the host anywhere",
  when: "always",
  measure: () => runTests(["test/e2e/twelve-mistakes-are-told-with-their-exact-line.test.ts"], false),
};

export const refusedDeploys: Claim = {
  name: "refused-deploys",
  asked: "a bit flipped, a wrong key, an expired key, a replayed epoch, a missing role, a stolen preview: each refused with its reason, audited",
  when: "always",
  measure: () =>
    runTests(
      [
        "test/control/a-release-is-refused-with-its-reason.test.ts",
        "test/control/a-release-serves-everywhere-or-nowhere.test.ts",
        "test/e2e/a-release-is-deployed-and-taken-back.test.ts",
        "test/proxy/a-preview-reaches-any-stored-release.test.ts",
      ],
      false,
    ),
};

async function runTests(files: readonly string[], inBrowser = true): Promise<Finding> {
  if (inBrowser && !process.env["SLUICE_CHROMIUM"] && !["chromium", "chromium-browser", "google-chrome"].some((name) => find(name) !== "")) {
    return { verdict: "not measured", measured: CHROMIUM_MISSING };
  }
  const missing = files.filter((file) => !existsSync(join(PACKAGE_ROOT, file)));
  if (missing.length > 0) return { verdict: "not measured", measured: `there is no ${missing.join(", ")}` };
  const { code, output } = await run(files);
  const count = (word: string): number => Number(new RegExp(`^ℹ ${word} (\\d+)`, "m").exec(output)?.[1] ?? Number.NaN);
  const [passed, failed] = [count("pass"), count("fail")];
  const names = [...output.matchAll(/^\s*✖ (.+?) \(/gm)].map(([, name]) => name);
  return judged(`${passed} tests passed, ${failed} failed (${files.join(", ")})`, [
    code !== 0 && (names.length > 0 ? [...new Set(names)].join(", ") : `exit code ${code}: ${output.slice(-600)}`),
    !(passed > 0) && "no test ran",
  ]);
}

function run(files: readonly string[]): Promise<{ code: number; output: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [join(PACKAGE_ROOT, ".ci", "test.js"), "--test-reporter=spec", ...files], {
      cwd: PACKAGE_ROOT,
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (piece: string) => (output += piece));
    child.on("error", reject);
    child.on("close", (code) => resolve({ code: code ?? 1, output }));
  });
}
