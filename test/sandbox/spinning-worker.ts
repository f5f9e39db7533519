/** A worker whose sandbox spins for ever: prints the sandboxes' pids once a hook has been sent. */
import { fileURLToPath } from "node:url";
import { createSandbox } from "../../runtime/sandbox/client.ts";
import { releaseOf, runOf } from "./room.ts";

const nothing = (): void => undefined;
const sandbox = await createSandbox({
  kernel: "",
  processFile: fileURLToPath(new URL("./fake-process.ts", import.meta.url)),
  silenceMs: 600_000,
  limits: { ruleCpuMs: 50, ruleWallMs: 600_000, ruleMemoryBytes: 64 * 1024 * 1024, ruleFetches: 16, crossingBytes: 1024 * 1024 },
  vars: {},
  secrets: {},
  services: {},
  quarantine: true,
  now: () => 0,
  events: { log: nothing, metric: nothing, hook: nothing, sandbox: nothing },
});
const release = releaseOf({ name: "a.ts", body: "" });
const loaded = await sandbox.load({ ...release, rules: [{ ...release.rules[0]!, code: process.argv[2] ?? "silent" }] }, {});
void sandbox.run(runOf(loaded));
setImmediate(() => setImmediate(() => console.log(JSON.stringify(sandbox.status()))));
setInterval(nothing, 1000);
