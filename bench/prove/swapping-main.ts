/**
 * Program of `swapped-releases.ts`: a gateway as `sluice start` makes it, whose supervisor deploys a release whenever it is told to:
 * the project's one, with the number of the swap where its code says RELEASE_0. `CONFIG`.
 */
import { createHash } from "node:crypto";
import { createCompiler } from "../../runtime/compile/compile.ts";
import type { Release } from "../../runtime/compile/release.ts";
import { loadConfig } from "../../runtime/config/config.ts";
import { buildKernel } from "../../runtime/sandbox/kernel/build.ts";
import { runUntilStopped, startSupervisor } from "../../runtime/supervisor/supervisor.ts";

const { config } = await loadConfig(process.argv[2]!);
const compiler = createCompiler(config);
const first = await compiler.rebuild();
await compiler[Symbol.asyncDispose]();
if (first.release === null) throw new Error(first.problems.map(({ text }) => text).join("\n"));
const { rules } = first.release;

function variant(number: number): Release {
  const changed = rules.map(({ manifest, code }) => ({ manifest, code: code.replaceAll("RELEASE_0", `RELEASE_${number}`) }));
  return { id: createHash("sha256").update(JSON.stringify(changed)).digest("hex").slice(0, 12), format: 1, rules: changed };
}

const supervisor = await startSupervisor({
  config,
  compile: async () => ({ release: variant(0), maps: first.maps, problems: [] }),
  kernel: await buildKernel(),
  version: "0.0.0",
  log: () => undefined,
});
process.on("message", (number: number) => {
  supervisor.deploy(variant(number), first.maps).then(
    () => process.send!({ swapped: number }),
    (error: unknown) => process.send!({ swapped: number, error: String(error) }),
  );
});
process.send!({ port: supervisor.addresses[0]!.port });
const code = await runUntilStopped(supervisor);
process.exit(code);
