/** The whole process tree over a real origin, in a folder of its own. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { type Agent, createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";

/** The command line itself, so that signals meet the supervisor and not a launcher. */
const SLUICE = path.join(import.meta.dirname, "../../runtime/cli/main.ts");

export interface RealGateway {
  readonly dir: string;
  readonly port: number;
  readonly supervisor: ChildProcess;
  readonly exit: Promise<number | NodeJS.Signals>;
  /** Everything printed so far. */
  output(): string;
  /** `GET /v1/status`. */
  status(): Promise<Status>;
  metrics(): Promise<string>;
  writeRule(name: string, code: string): void;
}

export interface Status {
  readonly release: { readonly id: string; readonly rules: readonly string[] };
  readonly workers: readonly {
    readonly pid: number;
    readonly state: string;
    readonly release: string;
    readonly sandbox: { readonly activePid: number; readonly sparePid: number } | null;
  }[];
  readonly workerRestarts: Readonly<Record<string, number>>;
  readonly lastReload: { readonly ok: boolean; readonly reason: string } | null;
}

/** Answers "origin", slowly and in two parts under /slow (the second when `release` is called). */
export async function startOrigin(t: TestContext): Promise<{ port: number; release: () => void }> {
  let held: (() => void)[] = [];
  const server = createServer((incoming, response) => {
    incoming.resume();
    if (incoming.url !== "/slow") {
      response.end("origin");
      return;
    }
    response.write("first,");
    held.push(() => response.end("last"));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  const release = () => {
    for (const finish of held) finish();
    held = [];
  };
  return { port: (server.address() as AddressInfo).port, release };
}

export async function startGateway(
  t: TestContext,
  originPort: number,
  settings: { workers: number; rules?: Readonly<Record<string, string>>; limits?: object },
): Promise<RealGateway> {
  const dir = mkdtempSync(path.join(tmpdir(), "sluice-faults-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(path.join(dir, "rules"));
  const writeRule = (name: string, code: string) => writeFileSync(path.join(dir, "rules", name), code);
  for (const [name, code] of Object.entries(settings.rules ?? {})) writeRule(name, code);
  const config = {
    listeners: [{ host: "127.0.0.1", port: 0 }],
    workers: settings.workers,
    upstreams: { origin: { targets: [`http://127.0.0.1:${originPort}`] } },
    rules: "./rules",
    log: { access: "off" },
    limits: settings.limits ?? {},
    admin: { host: "127.0.0.1", port: 0 },
  };
  writeFileSync(path.join(dir, "sluice.config.json"), JSON.stringify(config));
  const supervisor = spawn(process.execPath, ["--conditions=sluice-source", SLUICE, "start", "--config", path.join(dir, "sluice.config.json")], {
    stdio: ["ignore", "pipe", "pipe"],
  });
  t.after(() => supervisor.kill("SIGKILL"));
  const exit = new Promise<number | NodeJS.Signals>((resolve) => supervisor.once("exit", (code, signal) => resolve(signal ?? code ?? -1)));
  let text = "";
  const ready = new Promise<void>((resolve, reject) => {
    const heard = (piece: string) => {
      text += piece;
      if (/^ready$/m.test(text)) resolve();
    };
    supervisor.stdout.setEncoding("utf8").on("data", heard);
    supervisor.stderr.setEncoding("utf8").on("data", heard);
    void exit.then((how) => reject(new Error(`the gateway ended with ${how}:\n${text}`)));
  });
  await ready;
  const port = Number(/listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(text)![1]);
  const adminPort = Number(/admin on http:\/\/127\.0\.0\.1:(\d+)/.exec(text)![1]);
  const token = readFileSync(path.join(dir, ".sluice", "admin-token"), "utf8").trim();
  const admin = async (target: string) => (await get(adminPort, target, { headers: { authorization: `Bearer ${token}` } })).text;
  return {
    dir,
    port,
    supervisor,
    exit,
    output: () => text,
    status: async () => JSON.parse(await admin("/v1/status")) as Status,
    metrics: () => admin("/metrics"),
    writeRule,
  };
}

export interface Answer {
  readonly status: number;
  readonly text: string;
  readonly headers: Readonly<Record<string, unknown>>;
}

/** Without an agent: on a connection of its own. */
export function get(
  port: number,
  target = "/",
  { agent = false, headers = {} }: { agent?: Agent | false; headers?: Record<string, string> } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path: target, agent, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text, headers: response.headers })).on("error", reject);
    })
      .on("error", reject)
      .end();
  });
}
