/** Starts the shop's origin processes and a gateway before them, as the demo and the end-to-end tests want it. */
import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { Duration } from "sluice";

const here = import.meta.dirname;
/** Longer than the gateway itself waits for any of its processes: it says what is wrong, this only bounds a gateway that says nothing. */
const START_TIMEOUT_MS = 120_000;
const STOP_TIMEOUT_MS = 10_000;

export interface ShopOptions {
  /** 0 takes free ones. */
  readonly ports: { readonly gateway: number; readonly admin: number; readonly origins: readonly number[] };
  /** `dev` watches the rules and recompiles, `start` is what production runs. */
  readonly command: "dev" | "start";
  /** Another config than the shop's own. */
  readonly config?: string;
  /** How long the gateway waits for an origin's answer; 10 s by default. */
  readonly firstByte?: Duration;
  /** Where the gateway keeps its admin token and the like; the shop's own folder by default. */
  readonly stateDir?: string;
  /** Gets each line that the gateway or an origin prints. */
  readonly onLine: (line: string) => void;
}

export interface RunningShop {
  /** `http://127.0.0.1:8080` */
  readonly url: string;
  readonly adminUrl: string;
  readonly origins: readonly string[];
  readonly gatewayPid: number;
  /** Resolves when the gateway has ended, with its exit code. */
  readonly ended: Promise<number>;
  stop(): Promise<void>;
}

/** Says in one sentence why the shop cannot be started; what processes printed went to `onLine`. */
export class ShopFailure extends Error {}

export async function runShop(options: ShopOptions): Promise<RunningShop> {
  const children: ChildProcess[] = [];
  const stop = async () => {
    // The gateway first: an origin that is gone before it would be an error in its log.
    for (const child of children.toReversed()) await end(child);
  };
  try {
    const { gateway, admin, origins } = options.ports;
    for (const port of [gateway, admin, ...origins]) await assertFree(port);
    const env = { NODE_COMPILE_CACHE: compileCache, ...process.env, SHOP_JWT_KEY: process.env.SHOP_JWT_KEY ?? randomBytes(32).toString("hex") };
    const targets = await Promise.all(origins.map((port) => startOrigin(port, env, children, options.onLine)));
    const settings: NodeJS.ProcessEnv = { ...env, SHOP_TARGETS: targets.join(","), SHOP_PORT: String(gateway), SHOP_ADMIN_PORT: String(admin) };
    if (options.firstByte) settings.SHOP_FIRST_BYTE = options.firstByte;
    if (options.stateDir) settings.SHOP_STATE_DIR = options.stateDir;
    const child = startGateway(options, settings, children);
    const ended = once(child, "exit").then(([code]) => Number(code ?? 1));
    const { url, adminUrl } = await untilReady(child, ended, options.onLine);
    return { url, adminUrl, origins: targets, gatewayPid: child.pid ?? 0, ended, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function assertFree(port: number): Promise<void> {
  if (port === 0) return;
  const probe = createServer();
  try {
    probe.listen(port, "127.0.0.1");
    await once(probe, "listening");
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new ShopFailure(
      code === "EADDRINUSE" ? `Port ${port} on 127.0.0.1 is taken: end whatever listens there (ss -ltnp shows it), then start again.` : message,
    );
  } finally {
    probe.close();
  }
}

async function startOrigin(port: number, env: NodeJS.ProcessEnv, children: ChildProcess[], onLine: (line: string) => void): Promise<string> {
  const child = spawn(process.execPath, ["--conditions=sluice-source", join(here, "origin", "origin.ts"), String(port)], {
    env,
    stdio: ["ignore", "pipe", "pipe", "ipc"],
    detached: true,
  });
  children.push(child);
  collectLines(child, onLine);
  const started = once(child, "message", { signal: AbortSignal.timeout(START_TIMEOUT_MS) }).then(([message]) => (message as { port: number }).port);
  const failed = once(child, "exit").then((): never => {
    throw new ShopFailure("An origin process ended at once.");
  });
  return `http://127.0.0.1:${await Promise.race([started, failed])}`;
}

/** Where a checkout keeps what Node made of its sources: they are stripped of their types once, not at each start of each process. */
const compileCache = join(here, "..", "..", "node_modules", ".cache", "node-compile");

function startGateway({ command, config = join(here, "sluice.config.ts") }: ShopOptions, env: NodeJS.ProcessEnv, children: ChildProcess[]): ChildProcess {
  const main = join(here, "..", "..", "runtime", "cli", "main.ts");
  // Detached, like the origins: Ctrl-C in a terminal then reaches only the demo, which ends everything in order.
  const child = spawn(process.execPath, ["--conditions=sluice-source", main, command, "--config", config], {
    env,
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  children.push(child);
  return child;
}

/** The gateway prints a line for each listener, then `ready`. */
async function untilReady(child: ChildProcess, ended: Promise<number>, onLine: (line: string) => void): Promise<{ url: string; adminUrl: string }> {
  const ready = Promise.withResolvers<void>();
  const said = collectLines(child, (line) => {
    onLine(line);
    if (/\bready\b/.test(line)) ready.resolve();
  });
  const failed = ended.then((code): never => {
    throw new ShopFailure(`The gateway ended with exit code ${code} before it was ready.`);
  });
  const late = AbortSignal.timeout(START_TIMEOUT_MS);
  late.addEventListener("abort", () => ready.reject(new ShopFailure(`The gateway was not ready after ${START_TIMEOUT_MS / 1000} s.`)));
  await Promise.race([ready.promise, failed]);
  const urlIn = (wanted: (line: string) => boolean) =>
    said
      .filter(wanted)
      .map((line) => /https?:\/\/[\w.:[\]]+/.exec(line)?.[0])
      .find(Boolean);
  const url = urlIn((line) => !/admin/.test(line));
  const adminUrl = urlIn((line) => /admin/.test(line));
  if (!url || !adminUrl) throw new ShopFailure("The gateway did not say where it listens.");
  return { url, adminUrl };
}

const KEPT_LINES = 200;

function collectLines(child: ChildProcess, onLine: (line: string) => void): string[] {
  const said: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    if (!stream) continue;
    createInterface({ input: stream }).on("line", (line) => {
      if (said.length < KEPT_LINES) said.push(line);
      onLine(line);
    });
  }
  return said;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  const hard = setTimeout(() => child.kill("SIGKILL"), STOP_TIMEOUT_MS);
  await gone;
  clearTimeout(hard);
}
