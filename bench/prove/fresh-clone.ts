/** What a stranger does: clone, one command, the demo answers; clone, one command, the tests are green. Commits only: a clone has nothing else. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdirSync, rmSync } from "node:fs";
import { delimiter, join } from "node:path";
import { PACKAGE_ROOT } from "../load/checkout.ts";
import { endWithUs } from "../load/groups.ts";
import { freePorts } from "../load/processes.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { makeFolder, pause } from "./gateway.ts";

const LIMIT_S = 300;
const GIVE_UP_MS = 900_000;
const POLL_MS = 250;
const KEPT_OUTPUT_UNITS = 4_000;

export const freshCloneDemo: Claim = {
  name: "fresh-clone-demo",
  asked: "fresh clone → demo answering: one command, under 5 minutes",
  when: "fresh-clone",
  measure: (proof) => inClone(proof, demo),
};

export const freshCloneTests: Claim = {
  name: "fresh-clone-tests",
  asked: "fresh clone → tests green: one command, under 5 minutes",
  when: "fresh-clone",
  measure: (proof) => inClone(proof, tests),
};

async function inClone({ say }: Proof, measure: (folder: string, env: NodeJS.ProcessEnv) => Promise<Finding>): Promise<Finding> {
  const parent = makeFolder();
  const folder = join(parent, "sluice");
  try {
    const cloned = spawnSync("git", ["clone", "--quiet", "--no-hardlinks", PACKAGE_ROOT, folder], { encoding: "utf8" });
    if (cloned.status !== 0) return { verdict: "not measured", measured: `git clone failed: ${cloned.stderr.trim()}` };
    say(`  cloned into ${folder}`);
    return await measure(folder, strangersEnvironment(parent));
  } finally {
    rmSync(parent, { recursive: true, force: true });
  }
}

/** Without what npm and this checkout have put there, and with an empty npm cache. */
function strangersEnvironment(parent: string): NodeJS.ProcessEnv {
  const env: NodeJS.ProcessEnv = {};
  for (const [name, value] of Object.entries(process.env)) if (!/^(npm_|NODE_|INIT_CWD$)/i.test(name)) env[name] = value;
  env["PATH"] = (env["PATH"] ?? "")
    .split(delimiter)
    .filter((entry) => !entry.includes("node_modules"))
    .join(delimiter);
  env["npm_config_cache"] = join(parent, "npm-cache");
  mkdirSync(env["npm_config_cache"]);
  return env;
}

async function demo(folder: string, env: NodeJS.ProcessEnv): Promise<Finding> {
  const [port, adminPort] = (await freePorts(2)) as [number, number];
  const startedMs = performance.now();
  const running = new Command(folder, env, ["start", "--", "--port", String(port), "--admin-port", String(adminPort), "--origin-port", "0"]);
  try {
    while (!(await isAnswering(port))) {
      if (running.ended) return { verdict: "fails", measured: `npm start ended with ${running.child.exitCode}:\n${running.output}` };
      if (performance.now() - startedMs > GIVE_UP_MS) return { verdict: "fails", measured: `no answer after ${GIVE_UP_MS / 1_000} s:\n${running.output}` };
      await pause(POLL_MS);
    }
    const seconds = (performance.now() - startedMs) / 1_000;
    return judged(`answering ${seconds.toFixed(0)} s after npm start in a new clone, with an empty npm cache`, [
      seconds >= LIMIT_S && `not under ${LIMIT_S} s`,
    ]);
  } finally {
    await running.stop();
  }
}

async function isAnswering(port: number): Promise<boolean> {
  const answer = await fetch(`http://127.0.0.1:${port}/`, { signal: AbortSignal.timeout(POLL_MS * 4) }).catch(() => null);
  return answer?.status === 200;
}

async function tests(folder: string, env: NodeJS.ProcessEnv): Promise<Finding> {
  const startedMs = performance.now();
  const running = new Command(folder, env, ["test"]);
  const deadline = setTimeout(() => void running.stop(), GIVE_UP_MS);
  const code = await running.exit;
  clearTimeout(deadline);
  const seconds = (performance.now() - startedMs) / 1_000;
  const count = (word: string): string => new RegExp(`^ℹ ${word} (\\d+)`, "m").exec(running.output)?.[1] ?? "?";
  return judged(`npm test in a new clone, with an empty npm cache: ${seconds.toFixed(0)} s, ${count("pass")} passed, ${count("fail")} failed`, [
    code !== 0 && `exit code ${code}: ${running.output.slice(-600)}`,
    seconds >= LIMIT_S && `not under ${LIMIT_S} s`,
  ]);
}

/** `npm …` in a process group of its own. */
class Command {
  readonly child: ChildProcess;
  readonly exit: Promise<number>;
  /** The end of what it printed. */
  output = "";
  ended = false;

  constructor(folder: string, env: NodeJS.ProcessEnv, args: readonly string[]) {
    this.child = spawn("npm", args, { cwd: folder, env, stdio: ["ignore", "pipe", "pipe"], detached: true });
    endWithUs(this.child);
    for (const stream of [this.child.stdout!, this.child.stderr!]) {
      stream.setEncoding("utf8").on("data", (piece: string) => (this.output = (this.output + piece).slice(-KEPT_OUTPUT_UNITS)));
    }
    this.exit = new Promise((resolve) => {
      this.child.on("error", (error) => (this.output += error.message));
      this.child.on("close", (code) => {
        this.ended = true;
        resolve(code ?? 1);
      });
    });
  }

  async stop(): Promise<void> {
    if (this.ended || this.child.pid === undefined) return;
    process.kill(-this.child.pid, "SIGTERM");
    await this.exit;
  }
}
