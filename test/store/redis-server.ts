/** Real Redis servers for tests: each on a free port of its own, with a folder of its own, and gone when the test is. */
import { spawn, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

export interface RedisServer {
  readonly port: number;
  readonly url: string;
  readonly pid: number;
  signal(signal: NodeJS.Signals): void;
  /** Ends it (`SIGKILL`) and resolves when it is gone. */
  kill(): Promise<void>;
  /** Starts it again on the same port and folder. */
  restart(): Promise<void>;
  /** Sends one command of plain words, resolves with the answer's first line. */
  ask(...words: string[]): Promise<string>;
  /** … with the whole answer. */
  askAll(...words: string[]): Promise<string>;
  /** Ends it for good. */
  stop(): Promise<void>;
}

export interface RedisServerOptions {
  readonly args?: readonly string[];
  /** Where only TLS is spoken: what `ask` connects with is of no use then. */
  readonly tls?: boolean;
  /** Left out: a free one. */
  readonly port?: number;
  /** A Sentinel with these lines as its config. */
  readonly sentinel?: readonly string[];
}

export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const dir = mkdtempSync(path.join(tmpdir(), "sluice-redis-"));
  const port = options.port ?? (await freePort());
  let child = await launch(port, dir, options);
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once("exit", resolve));
    child.kill("SIGKILL");
    await gone;
  };
  const killAtExit = () => void child.kill("SIGKILL");
  process.once("exit", killAtExit);
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    get pid() {
      return child.pid!;
    },
    signal: (signal) => void child.kill(signal),
    kill,
    async restart() {
      await kill();
      child = await launch(port, dir, options);
    },
    ask: async (...words) => (await ask(port, words)).split("\r\n")[0]!,
    askAll: (...words) => ask(port, words),
    async stop() {
      await kill();
      process.off("exit", killAtExit);
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Free a moment ago; a server that finds it taken fails to start, and the test says so. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = net.createServer().once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo;
      // A cluster's second port is 10,000 above.
      server.close(() => (port < 55_000 ? resolve(port) : resolve(freePort())));
    });
  });
}

function launch(port: number, dir: string, { args = [], tls = false, sentinel }: RedisServerOptions): Promise<ChildProcess> {
  const listen = tls ? ["--port", "0", "--tls-port", String(port)] : ["--port", String(port)];
  const file = path.join(dir, "sentinel.conf");
  if (sentinel !== undefined) writeFileSync(file, `${sentinel.join("\n")}\n`);
  const kind = sentinel === undefined ? [] : [file, "--sentinel"];
  const child = spawn("redis-server", [...kind, "--bind", "127.0.0.1", ...listen, "--dir", dir, ...(sentinel === undefined ? ["--save", ""] : []), ...args], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (piece: string) => {
      text = (text + piece).slice(-4000);
      if (/Ready to accept connections|Sentinel ID is/.test(text)) resolve(child);
    });
    child.once("error", reject);
    child.once("exit", () => reject(new Error(`redis-server ended: ${text}`)));
  });
}

function ask(port: number, words: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, "127.0.0.1");
    socket.once("error", reject);
    socket.setEncoding("utf8").once("data", (text: string) => {
      socket.destroy();
      resolve(text);
    });
    socket.write(`*${words.length}\r\n${words.map((word) => `$${Buffer.byteLength(word)}\r\n${word}\r\n`).join("")}`);
  });
}
