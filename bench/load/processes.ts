/** Servers under load as processes: started on a core of their own, watched through /proc, ended with everything they started. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import net from "node:net";
import { availableParallelism } from "node:os";
import { endWithUs } from "./groups.ts";

export interface Server {
  readonly name: string;
  readonly command: readonly string[];
  readonly port: number;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** File that takes its standard output (access logs); left out: nothing does. */
  readonly outputFile?: string;
}

export interface Tree {
  readonly cpuSeconds: number;
  readonly pids: readonly number[];
}

/** The server has one core for itself; load, origin and this process share the other. */
const CORES = availableParallelism() > 1 ? { server: "0", load: "1" } : null;
const CLOCK_TICKS_PER_S = Number(spawnSync("getconf", ["CLK_TCK"], { encoding: "utf8" }).stdout) || 100;
/** Ten thousand rules are compiled on one core. */
const START_TIMEOUT_MS = 180_000;
const END_TIMEOUT_MS = 5_000;
const ANSWER_TIMEOUT_MS = 1_000;
const POLL_MS = 50;
const KEPT_COMPLAINT_UNITS = 2_000;

export const isPinned = CORES !== null;

/** `command` as it runs on the core of the server or of the load. */
export function pinned(core: "server" | "load", command: readonly string[]): [string, string[]] {
  const [program, ...args] = CORES === null ? command : ["taskset", "-c", CORES[core], ...command];
  return [program!, args];
}

/** Keeps this process, which samples and hashes, away from the server's core. */
export function moveAside(): void {
  if (CORES !== null) spawnSync("taskset", ["-a", "-c", "-p", CORES.load, String(process.pid)]);
}

export function start(server: Server, core: "server" | "load"): ChildProcess {
  const [program, args] = pinned(core, server.command);
  const output = server.outputFile === undefined ? "ignore" : openSync(server.outputFile, "a");
  const child = spawn(program, args, { cwd: server.cwd, env: { ...process.env, ...server.env }, stdio: ["ignore", output, "pipe"], detached: true });
  endWithUs(child);
  if (typeof output === "number") closeSync(output);
  let complaint = "";
  child.stderr!.on("data", (piece: Buffer) => (complaint = (complaint + piece.toString()).slice(-KEPT_COMPLAINT_UNITS)));
  child.on("error", (error) => process.stderr.write(`${server.name} could not be started: ${error.message}\n`));
  child.on("exit", (code, signal) => {
    if (code !== null && code !== 0) process.stderr.write(`${server.name} ended with ${code ?? signal}:\n${complaint}\n`);
  });
  return child;
}

/** Waits until the server answers a request. */
export async function answers(server: Server, child: ChildProcess): Promise<void> {
  const deadlineMs = Date.now() + START_TIMEOUT_MS;
  while (Date.now() < deadlineMs) {
    if (child.exitCode !== null) throw new Error(`${server.name} ended before it answered (exit code ${child.exitCode})`);
    const answer = await ask(server.port, "/ready");
    if (/^HTTP\/1\.1 [234]/.test(answer)) return;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`${server.name} did not answer on port ${server.port} within ${START_TIMEOUT_MS} ms`);
}

/** One request on a connection of its own; the whole answer as text, or "" when there is none. */
export function ask(port: number, path: string, headers: readonly string[] = []): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: "127.0.0.1" });
    let text = "";
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => socket.destroy());
    const fields = ["Host: bench.example.com", ...headers, "Connection: close"];
    socket.on("connect", () => socket.write(`GET ${path} HTTP/1.1\r\n${fields.join("\r\n")}\r\n\r\n`));
    socket.on("data", (piece) => (text += piece.toString("latin1")));
    socket.on("error", () => socket.destroy());
    socket.on("close", () => resolve(text));
  });
}

/** Ends the process group; what does not go within a moment is killed. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const group = -child.pid;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  process.kill(group, "SIGTERM");
  const timer = setTimeout(() => process.kill(group, "SIGKILL"), END_TIMEOUT_MS);
  await gone;
  clearTimeout(timer);
}

/** CPU time of a process and all its descendants, from /proc. */
export function tree(root: number): Tree {
  const parents = new Map<number, number>();
  const ticks = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const text = readProc(Number(name), "stat");
    if (text === null) continue;
    // The name in parentheses may hold anything, spaces and parentheses too.
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    parents.set(Number(name), Number(fields[1]));
    // utime, stime, and those of children that were waited for.
    ticks.set(Number(name), Number(fields[11]) + Number(fields[12]) + Number(fields[13]) + Number(fields[14]));
  }
  const pids = [...ticks.keys()].filter((pid) => {
    for (let at: number | undefined = pid; at !== undefined && at > 1; at = parents.get(at)) if (at === root) return true;
    return false;
  });
  return { cpuSeconds: pids.reduce((sum, pid) => sum + ticks.get(pid)!, 0) / CLOCK_TICKS_PER_S, pids };
}

/** Memory of these processes together, pages that several of them map counted once (proportional set size). */
export function memoryBytes(pids: readonly number[]): number {
  let kib = 0;
  for (const pid of pids) {
    const rollup = readProc(pid, "smaps_rollup") ?? "";
    kib += Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
  }
  return kib * 1024;
}

/** A file of /proc/PID, or null when the process is gone. */
export function readProc(pid: number, name: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "latin1");
  } catch (error) {
    if (["ENOENT", "ESRCH"].includes((error as NodeJS.ErrnoException).code ?? "")) return null;
    throw error;
  }
}

/** Ports that nobody listens on now. */
export async function freePorts(count: number): Promise<number[]> {
  const probes = Array.from({ length: count }, () => net.createServer());
  await Promise.all(probes.map((probe) => new Promise<void>((resolve) => probe.listen(0, "127.0.0.1", resolve))));
  const ports = probes.map((probe) => (probe.address() as net.AddressInfo).port);
  await Promise.all(probes.map((probe) => new Promise((resolve) => probe.close(resolve))));
  return ports;
}

/** Where a program stands, or "". */
export function find(program: string): string {
  return spawnSync("sh", ["-c", `PATH="$PATH:/usr/sbin:/sbin" command -v "$0"`, program], { encoding: "utf8" }).stdout.trim();
}
