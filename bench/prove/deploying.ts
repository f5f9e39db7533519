/** A project to deploy from, and the gateways that it is deployed to, for the claims about releases. */
import { spawn } from "node:child_process";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PACKAGE_ROOT } from "../load/checkout.ts";
import { endWithUs } from "../load/groups.ts";
import { type Gateway, makeFolder, startGateway } from "./gateway.ts";

export const TOKEN = "token-of-the-deploy-proofs";
const COMMAND_DEADLINE_MS = 120_000;
const CALL_DEADLINE_MS = 60_000;

export type Config = Readonly<Record<string, unknown>>;

export interface Command {
  readonly code: number;
  readonly output: string;
  /** From its start as a process to its end. */
  readonly tookMs: number;
}

export interface Project {
  readonly folder: string;
  rule(name: string, code: string): void;
  /** `sluice`, as somebody runs it in this folder, towards the gateway's admin listener. */
  sluice(gateway: Gateway, ...args: readonly string[]): Promise<Command>;
  remove(): void;
}

export function makeProject(config: Config): Project {
  const folder = makeFolder();
  mkdirSync(join(folder, "rules"));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(PACKAGE_ROOT, join(folder, "node_modules", "sluice"));
  writeFileSync(join(folder, "tsconfig.json"), TSCONFIG);
  writeFileSync(join(folder, "sluice.config.json"), JSON.stringify({ rules: "./rules", ...config }));
  return {
    folder,
    rule: (name, code) => writeFileSync(join(folder, "rules", name), code),
    sluice: (gateway, ...args) => run(folder, [...args, "--admin", adminOf(gateway)]),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** As `sluice init` writes it: without one there are no types to check by. */
const TSCONFIG = JSON.stringify({
  compilerOptions: {
    target: "es2024",
    lib: ["es2024", "webworker", "webworker.iterable"],
    types: [],
    module: "esnext",
    moduleResolution: "bundler",
    allowImportingTsExtensions: true,
    customConditions: ["sluice-source"],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
  },
  include: ["rules"],
});

/** On gateways that stop when the work is done, whatever came of it. */
export async function withGateways<T>(
  count: number,
  config: Config,
  work: (gateways: readonly Gateway[]) => Promise<T>,
  rules: Readonly<Record<string, string>> = {},
): Promise<T> {
  const starts = await Promise.allSettled(
    Array.from({ length: count }, () => startGateway({ command: "start", config, rules, env: { SLUICE_ADMIN_TOKEN: TOKEN } })),
  );
  const gateways = starts.flatMap((start) => (start.status === "fulfilled" ? [start.value] : []));
  try {
    for (const start of starts) if (start.status === "rejected") throw start.reason;
    return await work(gateways);
  } finally {
    await Promise.all(gateways.map((gateway) => gateway.stop()));
  }
}

export function adminOf(gateway: Gateway): string {
  return /admin on (http:\S+)/.exec(gateway.output())![1]!;
}

export async function callGateway(gateway: Gateway, path: string, body?: object): Promise<Readonly<Record<string, unknown>>> {
  const answer = await fetch(adminOf(gateway) + path, {
    headers: { authorization: `Bearer ${TOKEN}` },
    ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(CALL_DEADLINE_MS),
  });
  const value = (await answer.json()) as Readonly<Record<string, unknown>>;
  if (!answer.ok) throw new Error(`${path} was answered ${answer.status}: ${JSON.stringify(value)}`);
  return value;
}

/** `sluice` in a folder; there need be no project in it. */
export function run(folder: string, args: readonly string[]): Promise<Command> {
  const startedMs = performance.now();
  const child = spawn(process.execPath, [join(PACKAGE_ROOT, "runtime", "cli", "sluice.js"), ...args], {
    cwd: folder,
    env: { ...process.env, SLUICE_ADMIN_TOKEN: TOKEN },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  endWithUs(child);
  const deadline = setTimeout(() => process.kill(-child.pid!, "SIGKILL"), COMMAND_DEADLINE_MS);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (piece: string) => (output += piece));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      clearTimeout(deadline);
      resolve({ code: code ?? 1, output, tookMs: performance.now() - startedMs });
    });
  });
}
