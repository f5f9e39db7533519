/** The process that runs test files for `sluice test`: is told one at a time, answers with its outcome, and keeps sandboxes from one to the next. */
import { inspect, stripVTControlCharacters } from "node:util";
import { resolveConfig } from "../config/config.ts";
import { buildKernel } from "../sandbox/kernel/build.ts";
import { closeCompiler, warmCompiler } from "./compiled-rules.ts";
import { writeCoverage } from "./coverage.ts";
import { type FileOutcome, Session } from "./session.ts";
import { closeSandboxes, warmSandbox } from "./shared-sandbox.ts";

export type ToRunner = { readonly run: string } | { readonly end: true };
/** The first word, then one after each file. */
export type FromRunner = { readonly ready: true } | { readonly outcome: FileOutcome };

/** Frames of this program say nothing to a tester. */
const OWN_FRAME = /\n\s+at .*(?:\/runtime\/testing\/|node:internal\/|\(node:).*/g;

function showError(thrown: unknown): string {
  const text = thrown instanceof Error ? stripVTControlCharacters(inspect(thrown, { depth: 4 })) : `threw ${inspect(thrown)}`;
  return text.replaceAll(OWN_FRAME, "");
}

function say(word: FromRunner): void {
  process.send!(word);
}

const session = new Session(showError);
let turns: Promise<void> = Promise.resolve();

async function end(): Promise<void> {
  writeCoverage();
  await Promise.all([closeSandboxes(), closeCompiler()]);
  process.exit();
}

process.on("message", (told: ToRunner) => {
  turns = turns.then(async () => {
    if ("end" in told) return end();
    say({ outcome: await session.run(told.run) });
  });
});
// The command line is gone.
process.on("disconnect", () => process.exit(1));

const { limits } = resolveConfig({ upstreams: { origin: { targets: ["http://127.0.0.1:1"] } }, admin: false }, { baseDir: process.cwd(), file: "" });
warmCompiler();
warmSandbox({ limits, kernel: await buildKernel(), quarantine: true });
say({ ready: true });
