/** Whole gateways, started as users start them, and a folder to deploy to them from. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";

const SLUICE = path.join(import.meta.dirname, "../../runtime/cli/main.ts");
export const TOKEN = "a-token-for-tests-only";
const READY_DEADLINE_MS = 60_000;
const COMMAND_DEADLINE_MS = 60_000;

export interface Gateway {
  readonly dir: string;
  readonly port: number;
  readonly admin: string;
  readonly child: ChildProcess;
  output(): string;
  /** Resolves when it is gone. */
  end(signal: NodeJS.Signals): Promise<void>;
}

export interface Command {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface Stage {
  readonly dir: string;
  /** Where the rules to deploy lie. */
  rule(name: string, code: string | null): void;
  /** From now on the project's config says this as well. */
  config(more: object): void;
  gateway(name: string, config?: object): Promise<Gateway>;
  /** On the project, towards that gateway. */
  sluice(gateway: Gateway, args: readonly string[], token?: string): Promise<Command>;
  api(gateway: Gateway, target: string, body?: unknown, token?: string): Promise<{ status: number; value: Record<string, unknown> }>;
}

/** `config` goes for the project and for all gateways. */
export function openStage(t: TestContext, config: object = {}): Stage {
  const dir = mkdtempSync(path.join(tmpdir(), "sluice-deploy-"));
  const running: Gateway[] = [];
  t.after(async () => {
    await Promise.all(running.map((gateway) => gateway.end("SIGKILL")));
    rmSync(dir, { recursive: true, force: true });
  });
  const common = {
    listeners: [{ host: "127.0.0.1", port: 0 }],
    workers: 1,
    rules: "./rules",
    log: { access: "off" },
    admin: { host: "127.0.0.1", port: 0 },
    ...config,
  };
  const write = (name: string, more: object): string => {
    const folder = path.join(dir, name);
    mkdirSync(path.join(folder, "rules"), { recursive: true });
    const file = path.join(folder, "sluice.config.json");
    writeFileSync(file, JSON.stringify({ upstreams: { origin: { targets: ["http://127.0.0.1:9"] } }, ...common, ...more }));
    return file;
  };
  const project = write("project", {});
  return {
    dir,
    rule(name, code) {
      const file = path.join(dir, "project", "rules", name);
      if (code === null) rmSync(file);
      else writeFileSync(file, code);
    },
    config: (more) => void write("project", more),
    async gateway(name, more = {}) {
      const gateway = await startGateway(path.join(dir, name), write(name, more));
      running.push(gateway);
      return gateway;
    },
    sluice: (gateway, args, token = TOKEN) => command([...args, "--config", project, "--admin", gateway.admin], token),
    async api({ admin }, target, body, token = TOKEN) {
      const answer = await fetch(admin + target, {
        headers: { authorization: `Bearer ${token}` },
        ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
      });
      return { status: answer.status, value: (await answer.json()) as Record<string, unknown> };
    },
  };
}

async function startGateway(dir: string, config: string): Promise<Gateway> {
  const child = spawn(process.execPath, ["--conditions=sluice-source", SLUICE, "start", "--config", config], {
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, SLUICE_ADMIN_TOKEN: TOKEN, NODE_TEST_CONTEXT: undefined },
  });
  const gone = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  let text = "";
  await new Promise<void>((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`not ready in time:\n${text}`)), READY_DEADLINE_MS);
    const heard = (piece: string): void => {
      text += piece;
      if (!/^ready$/m.test(text)) return;
      clearTimeout(late);
      resolve();
    };
    child.stdout.setEncoding("utf8").on("data", heard);
    child.stderr.setEncoding("utf8").on("data", heard);
    void gone.then(() => {
      clearTimeout(late);
      reject(new Error(`the gateway ended:\n${text}`));
    });
  });
  return {
    dir,
    child,
    port: Number(/listening on http:\/\/127\.0\.0\.1:(\d+)/.exec(text)![1]),
    admin: /admin on (http:\/\/127\.0\.0\.1:\d+)/.exec(text)![1]!,
    output: () => text,
    async end(signal) {
      child.kill(signal);
      await gone;
    },
  };
}

function command(args: readonly string[], token: string): Promise<Command> {
  const child = spawn(process.execPath, ["--conditions=sluice-source", SLUICE, ...args], {
    stdio: ["ignore", "pipe", "pipe"],
    timeout: COMMAND_DEADLINE_MS,
    env: { ...process.env, SLUICE_ADMIN_TOKEN: token, NODE_TEST_CONTEXT: undefined },
  });
  let out = "";
  let err = "";
  child.stdout.setEncoding("utf8").on("data", (piece: string) => (out += piece));
  child.stderr.setEncoding("utf8").on("data", (piece: string) => (err += piece));
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code: code ?? -1, out, err }));
  });
}

/** A rule that answers every request with a word. */
export function saying(word: string): string {
  return `import { defineRule, respond } from "sluice";\nexport default defineRule({ onRequest() { return respond(200, ${JSON.stringify(word)}); } });\n`;
}

export interface Said {
  readonly status: number;
  readonly text: string;
  readonly release: string;
}

export function ask({ port }: Gateway, target = "/"): Promise<Said> {
  return new Promise((resolve, reject) => {
    request({ host: "127.0.0.1", port, path: target, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => (text += piece));
      response
        .on("end", () => resolve({ status: response.statusCode ?? 0, text, release: String(response.headers["sluice-release"] ?? "") }))
        .on("error", reject);
    })
      .on("error", reject)
      .end();
  });
}

/** Answers with what it saw in the field X-In. */
export async function startEchoOrigin(t: TestContext): Promise<string> {
  const server = createServer((incoming, response) => {
    incoming.resume();
    response.end(String(incoming.headers["x-in"] ?? ""));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  t.after(() => {
    server.close();
    server.closeAllConnections();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}
