/** Supervisors over stub workers, for the tests of this folder. */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { request } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { EMPTY_RELEASE, type Release } from "../../runtime/compile/release.ts";
import type { ResolvedConfig } from "../../runtime/config/resolved.ts";
import { startSupervisor, type Supervisor, type SupervisorOptions } from "../../runtime/supervisor/supervisor.ts";

export const STUB_WORKER = path.join(import.meta.dirname, "stub-worker.ts");

export interface LogLine {
  readonly level: string;
  readonly event: string;
  readonly facts: Readonly<Record<string, unknown>>;
}

export interface StubGateway {
  readonly supervisor: Supervisor;
  readonly port: number;
  readonly lines: LogLine[];
}

export function stateDir(t: TestContext): string {
  const dir = mkdtempSync(path.join(tmpdir(), "sluice-test-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export function stubConfig(overrides: Partial<ResolvedConfig> = {}): ResolvedConfig {
  return {
    baseDir: "/",
    file: "",
    listeners: [{ host: "127.0.0.1", port: 0 }],
    workers: 1,
    trustedProxies: [],
    geo: null,
    upstreams: {},
    routes: [],
    rateLimits: [],
    rulesDir: "",
    vars: {},
    secrets: {},
    fetch: { allow: [], private: [] },
    stateDir: "",
    store: { timeoutMs: 500, memoryBytes: 1024 * 1024, redis: null },
    log: { accessShare: 1, errorsOnly: false, off: true, redactHeaders: [], redactQuery: [] },
    record: { share: 0, headers: [] },
    experiments: { keys: [], downstream: "private", mostUnits: 1_000_000, raw: null },
    keepHeaders: [],
    limits: { connections: 1000, connectionsPerClient: 1000, drainMs: 10_000 } as ResolvedConfig["limits"],
    cache: null,
    admin: null,
    adminTokens: [],
    releases: {
      requireSigned: false,
      keys: [],
      kept: 100,
      canary: { steps: [500, 10_000], stepMs: 1000, minimumUnits: 1, limits: { exceptions: 0, timeouts: 0, errors: 0, latencyP95: 0, cpu: 0 } },
    },
    shared: { upstreams: {} },
    ...overrides,
  };
}

export function stubRelease(id: string, ...rules: string[]): Release {
  return {
    id,
    format: 1,
    rules: rules.map((name) => ({
      code: "",
      manifest: { name, order: 0, when: [], phases: ["onRequest"], secrets: [], onFailure: "closed", services: [], hosts: [], readsBody: false },
    })),
  };
}

export async function startStub(t: TestContext, config: ResolvedConfig, more: Partial<SupervisorOptions> = {}): Promise<StubGateway> {
  const lines: LogLine[] = [];
  const supervisor = await startSupervisor({
    config,
    compile: async () => ({ release: EMPTY_RELEASE, maps: {}, problems: [] }),
    kernel: "",
    version: "0.0.0",
    workerEntry: STUB_WORKER,
    log: (level, event, facts) => void lines.push({ level, event, facts }),
    ...more,
  });
  t.after(() => supervisor.stop());
  return { supervisor, port: supervisor.addresses[0]!.port, lines };
}

export interface StubAnswer {
  readonly pid: number;
  readonly worker: number;
  readonly release: string;
  readonly theme?: string;
}

/** One request on a connection of its own. */
export function get(port: number, target = "/", headers: Record<string, string> = {}): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path: target, agent: false, headers }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      response.on("end", () => resolve({ status: response.statusCode ?? 0, text })).on("error", reject);
    })
      .on("error", reject)
      .end();
  });
}

export async function ask(port: number): Promise<StubAnswer> {
  return JSON.parse((await get(port)).text) as StubAnswer;
}

export interface GatewayProcess {
  readonly pid: number;
  readonly port: number;
  readonly workers: readonly number[];
  signal(signal: NodeJS.Signals): void;
  /** Lines it wrote, parsed. */
  readonly lines: LogLine[];
  readonly exit: Promise<number | NodeJS.Signals>;
}

/** A supervisor in a process of its own, which answers signals. */
export function spawnGateway(t: TestContext, settings: { workers: number; reload?: string }): Promise<GatewayProcess> {
  const child = spawn(
    process.execPath,
    ["--conditions=sluice-source", path.join(import.meta.dirname, "gateway-main.ts"), JSON.stringify({ ...settings, stateDir: stateDir(t) })],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  t.after(() => child.kill("SIGKILL"));
  const lines: LogLine[] = [];
  const exit = new Promise<number | NodeJS.Signals>((resolve) => child.once("exit", (code, signal) => resolve(signal ?? code ?? -1)));
  return new Promise((resolve, reject) => {
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (piece: string) => {
      text += piece;
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n")) {
        const line = JSON.parse(text.slice(0, end)) as LogLine;
        text = text.slice(end + 1);
        lines.push(line);
        if (line.event === "test-ready") {
          const { port, workers } = line.facts as { port: number; workers: number[] };
          resolve({ pid: child.pid!, port, workers, lines, exit, signal: (signal) => void child.kill(signal) });
        }
      }
    });
    void exit.then((how) => reject(new Error(`the gateway ended with ${how}`)));
  });
}
