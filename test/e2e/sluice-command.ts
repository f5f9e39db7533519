/** Drives the `sluice` command as a user would: a child process, its output, its exit code. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

export const CHECKOUT_BIN = join(import.meta.dirname, "../../runtime/cli/sluice.js");
const DEADLINE_MS = 60_000;

export interface Finished {
  readonly code: number;
  /** Standard output and standard error, as they came. */
  readonly text: string;
}

export async function sluice(cwd: string, args: readonly string[], bin = CHECKOUT_BIN): Promise<Finished> {
  const running = startSluice(cwd, args, bin);
  const code = await running.exit;
  return { code, text: running.text() };
}

export interface Running {
  readonly child: ChildProcess;
  readonly exit: Promise<number>;
  text(): string;
  /** Resolves when the output after `from` matches; rejects when the command ends first. */
  printed(pattern: RegExp, from?: number): Promise<RegExpExecArray>;
  stop(): Promise<number>;
}

export function startSluice(cwd: string, args: readonly string[], bin = CHECKOUT_BIN, env: Readonly<Record<string, string>> = {}): Running {
  const child = spawn(process.execPath, [bin, ...args], {
    cwd,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...env },
  });
  let text = "";
  let ended = false;
  const waiting = new Set<() => void>();
  const tell = (): void => {
    for (const look of waiting) look();
  };
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
      tell();
    });
  }
  const exit = once(child, "close", { signal: AbortSignal.timeout(DEADLINE_MS * 2) }).then(([code]) => {
    ended = true;
    tell();
    return (code as number | null) ?? 1;
  });
  return {
    child,
    exit,
    text: () => text,
    printed(pattern, from = 0) {
      return new Promise((resolve, reject) => {
        const timer = setTimeout(() => finish(() => reject(new Error(`did not print ${pattern} in time:\n${text}`))), DEADLINE_MS);
        const finish = (settle: () => void): void => {
          clearTimeout(timer);
          waiting.delete(look);
          settle();
        };
        const look = (): void => {
          const match = pattern.exec(text.slice(from));
          if (match) finish(() => resolve(match));
          else if (ended) finish(() => reject(new Error(`ended without printing ${pattern}:\n${text}`)));
        };
        waiting.add(look);
        look();
      });
    },
    async stop() {
      child.kill("SIGINT");
      return exit;
    },
  };
}
