/** The load generator: Debian's wrk, one thread, keep-alive, as fast as the answers come. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { find, pinned } from "./processes.ts";

export interface Load {
  readonly connections: number;
  readonly seconds: number;
  readonly path: string;
  /** Every request has a path and a User-Agent of its own. */
  readonly distinct?: boolean;
}

export interface LoadResult {
  readonly requests: number;
  readonly requestsPerSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Answers outside 2xx and 3xx, and socket errors, as wrk counts them. */
  readonly errors: number;
}

/** What a browser might send: without a User-Agent there is nothing to hash, and without X-Debug nothing to delete. */
export const REQUEST_HEADERS = [
  "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/150.0",
  "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
  "Accept-Language: en",
  "X-Debug: 1",
];

const TIMEOUT_S = 10;
const DISTINCT = fileURLToPath(new URL("./distinct.lua", import.meta.url));

export const WRK_MISSING = 'The load generator wrk is missing: install it with "sudo apt-get install wrk".';

export function wrkInstalled(): boolean {
  return find("wrk") !== "";
}

export function wrk(port: number, load: Load): Promise<LoadResult> {
  const headers = REQUEST_HEADERS.flatMap((header) => ["-H", header]);
  const options = [
    "-t1",
    `-c${load.connections}`,
    `-d${load.seconds}s`,
    "--latency",
    "--timeout",
    `${TIMEOUT_S}s`,
    ...(load.distinct === true ? ["-s", DISTINCT] : []),
  ];
  const [program, args] = pinned("load", ["wrk", ...options, ...headers, `http://127.0.0.1:${port}${load.path}`]);
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "inherit"] });
    let text = "";
    child.stdout.on("data", (piece: Buffer) => (text += piece.toString()));
    child.on("error", reject);
    child.on("exit", (code) => (code === 0 ? resolve(read(text)) : reject(new Error(`wrk ended with ${code}: ${text}`))));
  });
}

function read(text: string): LoadResult {
  const number = (pattern: RegExp): number => Number(pattern.exec(text)?.[1] ?? Number.NaN);
  const socketErrors = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(text);
  const failed = socketErrors ? socketErrors.slice(1).reduce((sum, count) => sum + Number(count), 0) : 0;
  const refused = Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0);
  return {
    requests: number(/(\d+) requests in/),
    requestsPerSecond: number(/Requests\/sec:\s+([\d.]+)/),
    p50Ms: milliseconds(/50%\s+([\d.]+)(us|ms|s|m)/.exec(text)),
    p99Ms: milliseconds(/99%\s+([\d.]+)(us|ms|s|m)/.exec(text)),
    // "Latency   avg   stdev   max   +/- stdev"
    maxMs: milliseconds(/Latency\s+\S+\s+\S+\s+([\d.]+)(us|ms|s|m)/.exec(text)),
    errors: failed + refused,
  };
}

function milliseconds(match: RegExpExecArray | null): number {
  if (!match) return Number.NaN;
  return Number(match[1]) * { us: 0.001, ms: 1, s: 1_000, m: 60_000 }[match[2] as "us" | "ms" | "s" | "m"];
}
