/** A Redis of its own for a claim: Debian's redis-server, on a free port, keeping nothing. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endWithUs } from "../load/groups.ts";
import { find, freePorts, pinned } from "../load/processes.ts";

export const REDIS_MISSING = 'redis-server is missing: install it with "sudo apt-get install redis-server".';
const START_DEADLINE_MS = 10_000;

export function redisInstalled(): boolean {
  return find("redis-server") !== "";
}

export interface ProofRedis {
  readonly url: string;
  readonly process: ChildProcess;
  stop(): Promise<void>;
}

/** `at`: the port of one that was there before. */
export async function startProofRedis(at?: number): Promise<ProofRedis> {
  const folder = mkdtempSync(join(tmpdir(), "sluice-prove-redis-"));
  const port = at ?? (await freePorts(1))[0]!;
  const [program, args] = pinned("load", ["redis-server", "--bind", "127.0.0.1", "--port", String(port), "--dir", folder, "--save", ""]);
  const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"], detached: true });
  endWithUs(child);
  await new Promise<void>((resolve, reject) => {
    let text = "";
    const deadline = setTimeout(() => reject(new Error(`redis-server was not ready within ${START_DEADLINE_MS} ms: ${text}`)), START_DEADLINE_MS);
    child.stdout.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
      if (!text.includes("Ready to accept connections")) return;
      clearTimeout(deadline);
      resolve();
    });
    child.once("error", reject);
    child.once("exit", (code) => reject(new Error(`redis-server ended with ${code}: ${text}`)));
  });
  return {
    url: `redis://127.0.0.1:${port}`,
    process: child,
    async stop() {
      const gone = new Promise((resolve) => child.once("exit", resolve));
      child.kill("SIGKILL");
      await gone;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
