/**
 * Loads one server and says what it cost: CPU microseconds per request of its whole process tree (the figure that survives a
 * noisy machine), requests per second and latency percentiles by wrk, peak resident memory of the tree.
 * The server's processes are pinned to one core, load and origin to the other.
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import net from "node:net";

export interface Server {
  readonly name: string;
  readonly command: readonly string[];
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly port: number;
}

export interface Load {
  readonly connections: number;
  readonly seconds: number;
  readonly path: string;
}

export interface Measured {
  readonly name: string;
  readonly cpuUsPerRequest: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly requests: number;
  /** Non-2xx answers and socket errors as wrk counts them. */
  readonly errors: number;
  readonly memoryMiB: number;
}

const SERVER_CORE = "0";
const LOAD_CORE = "1";
const CLOCK_TICKS_PER_S = Number(spawnSync("getconf", ["CLK_TCK"], { encoding: "utf8" }).stdout) || 100;
const PAGE_BYTES = Number(spawnSync("getconf", ["PAGESIZE"], { encoding: "utf8" }).stdout) || 4096;
const START_TIMEOUT_MS = 30_000;
const WARM_UP_S = 2;

/** Starts `server`, warms it up, measures each load in turn, ends it. */
export async function measure(server: Server, loads: readonly Load[], whileLoaded?: (root: number) => void): Promise<Measured[]> {
  const child = start(server, SERVER_CORE);
  try {
    await answers(server, child);
    const measured: Measured[] = [];
    for (const load of loads) {
      await wrk(server.port, { ...load, seconds: WARM_UP_S });
      const before = tree(child.pid!);
      const running = wrk(server.port, load);
      whileLoaded?.(child.pid!);
      const result = await running;
      const after = tree(child.pid!);
      measured.push({ name: server.name, ...result, cpuUsPerRequest: ((after.cpuSeconds - before.cpuSeconds) * 1e6) / result.requests, memoryMiB: after.residentBytes / 2 ** 20 });
    }
    return measured;
  } finally {
    await end(child);
  }
}

/** The origin stands beside the load on the other core, so that its cost is nobody's. */
export function startOrigin(server: Server): ChildProcess {
  return start(server, LOAD_CORE);
}

function start(server: Server, core: string): ChildProcess {
  const child = spawn("taskset", ["-c", core, ...server.command], { cwd: server.cwd, env: { ...process.env, ...server.env }, stdio: ["ignore", "ignore", "pipe"], detached: true });
  let complaint = "";
  child.stderr!.on("data", (piece: Buffer) => (complaint = (complaint + piece.toString()).slice(-2000)));
  child.on("exit", (code, signal) => {
    if (code !== null && code !== 0) process.stderr.write(`${server.name} ended with ${code ?? signal}:\n${complaint}\n`);
  });
  return child;
}

export async function answers(server: Server, child: ChildProcess): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadline) {
    if (child.exitCode !== null) throw new Error(`${server.name} ended before it answered (exit code ${child.exitCode})`);
    if (await answersOnce(server.port)) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${server.name} did not answer on port ${server.port} within ${START_TIMEOUT_MS} ms`);
}

function answersOnce(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: "127.0.0.1" });
    socket.setTimeout(1000, () => socket.destroy());
    socket.on("connect", () => socket.write("GET /ready HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"));
    socket.on("data", (piece) => {
      resolve(/^HTTP\/1\.1 [234]/.test(piece.toString("latin1")));
      socket.destroy();
    });
    socket.on("error", () => resolve(false));
    socket.on("close", () => resolve(false));
  });
}

/** Ends the process group; what does not go within a moment is killed. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  process.kill(-child.pid!, "SIGTERM");
  const timer = setTimeout(() => process.kill(-child.pid!, "SIGKILL"), 3000);
  await gone;
  clearTimeout(timer);
}

/** CPU and memory of a process and all its descendants, from /proc. */
export function tree(root: number): { cpuSeconds: number; residentBytes: number; pids: number[] } {
  const parents = new Map<number, number>();
  const stats = new Map<number, { ticks: number; pages: number }>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name) || !existsSync(`/proc/${name}/stat`)) continue;
    let text: string;
    try {
      text = readFileSync(`/proc/${name}/stat`, "latin1");
    } catch (error) {
      // It ended between the listing and the read.
      if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) continue;
      throw error;
    }
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    parents.set(Number(name), Number(fields[1]));
    // utime, stime and those of children that were waited for.
    stats.set(Number(name), { ticks: Number(fields[11]) + Number(fields[12]) + Number(fields[13]) + Number(fields[14]), pages: Number(fields[21]) });
  }
  const pids = [...stats.keys()].filter((pid) => {
    for (let at: number | undefined = pid; at !== undefined && at > 1; at = parents.get(at)) if (at === root) return true;
    return false;
  });
  const sum = (pick: (stat: { ticks: number; pages: number }) => number): number => pids.reduce((total, pid) => total + pick(stats.get(pid)!), 0);
  return { cpuSeconds: sum((stat) => stat.ticks) / CLOCK_TICKS_PER_S, residentBytes: sum((stat) => stat.pages) * PAGE_BYTES, pids };
}

export function wrk(port: number, load: Load): Promise<Omit<Measured, "name" | "cpuUsPerRequest" | "memoryMiB">> {
  const args = ["-c", LOAD_CORE, "wrk", "-t1", `-c${load.connections}`, `-d${load.seconds}s`, "--latency", "--timeout", "10s", `http://127.0.0.1:${port}${load.path}`];
  return new Promise((resolve, reject) => {
    const child = spawn("taskset", args, { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (piece: Buffer) => (text += piece.toString()));
    child.on("error", reject);
    child.on("exit", (code) => (code === 0 ? resolve(readWrk(text)) : reject(new Error(`wrk ended with ${code}: ${text}`))));
  });
}

function readWrk(text: string): Omit<Measured, "name" | "cpuUsPerRequest" | "memoryMiB"> {
  const number = (pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? Number.NaN);
  const socketErrors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text);
  const failed = socketErrors ? socketErrors.slice(1).reduce((sum, count) => sum + Number(count), 0) : 0;
  const non2xx = /Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? "0";
  return { requests: number(/(\d+) requests in/), requestsPerSecond: number(/Requests\/sec:\s+([\d.]+)/), p50Ms: latency(text, "50"), p99Ms: latency(text, "99"), errors: failed + Number(non2xx) };
}

function latency(text: string, percentile: string): number {
  const match = new RegExp(`${percentile}%\\s+([\\d.]+)(us|ms|s)`).exec(text);
  if (!match) return Number.NaN;
  return Number(match[1]) * { us: 0.001, ms: 1, s: 1000 }[match[2] as "us" | "ms" | "s"];
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Where a program stands, or "". */
export function find(program: string): string {
  return spawnSync("sh", ["-c", `PATH="$PATH:/usr/sbin:/sbin" command -v ${program}`], { encoding: "utf8" }).stdout.trim();
}
