/** A gateway of its own for a claim: the command line as a user starts it, in a temporary project, on free ports. */
import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { PACKAGE_ROOT, sluiceCommand } from "../load/checkout.ts";
import { endWithUs } from "../load/groups.ts";

export interface GatewaySpec {
  readonly command: "start" | "dev";
  /** As in sluice.config.json; listener, admin, workers and log are filled in. */
  readonly config: Readonly<Record<string, unknown>>;
  /** File name in rules/ → TypeScript. */
  readonly rules?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Gateway {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly folder: string;
  /** Everything that it printed so far. */
  output(): string;
  status(): Promise<Status>;
  /** The JSON of any answer of the admin API, refusals too. */
  admin(path: string): Promise<unknown>;
  /** In Prometheus' text format. */
  metrics(): Promise<string>;
  /** Resolves when the output after `from` matches. */
  printed(pattern: RegExp, from?: number): Promise<RegExpExecArray>;
  stop(): Promise<void>;
}

export interface Status {
  readonly workers: readonly {
    readonly pid: number;
    readonly state: string;
    readonly sandbox: { readonly activePid: number; readonly sparePid: number } | null;
  }[];
  readonly quarantined: readonly string[];
}

const TOKEN = "token-of-the-proofs-only";
const DEADLINE_MS = 60_000;
const STOP_DEADLINE_MS = 15_000;
const WORKERS = 1;

export function makeFolder(): string {
  return mkdtempSync(join(tmpdir(), "sluice-prove-"));
}

export async function startGateway(spec: GatewaySpec): Promise<Gateway> {
  const folder = makeFolder();
  const files = Object.entries(spec.rules ?? {}).map(([name, text]) => [join("rules", name), text] as const);
  const config = {
    listeners: [{ host: "127.0.0.1", port: 0 }],
    admin: { host: "127.0.0.1", port: 0 },
    workers: WORKERS,
    log: { access: "off" },
    ...(files.length > 0 ? { rules: "./rules" } : {}),
    ...spec.config,
  };
  for (const [name, text] of [["sluice.config.json", JSON.stringify(config, null, 2)] as const, ...files]) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(PACKAGE_ROOT, join(folder, "node_modules", "sluice"));
  symlinkSync(join(PACKAGE_ROOT, "node_modules", "hono"), join(folder, "node_modules", "hono"));
  return runGateway(folder, spec.command, spec.env);
}

/** Starts what stands in `folder`, which goes when the gateway stops. */
export async function runGateway(folder: string, command: "start" | "dev", env: Readonly<Record<string, string>> = {}): Promise<Gateway> {
  const [program, ...args] = sluiceCommand(command, "--config", folder);
  // A group of its own: Ctrl-C in the terminal must meet this program first.
  const child = spawn(program!, args, { env: { ...process.env, SLUICE_ADMIN_TOKEN: TOKEN, ...env }, stdio: ["ignore", "pipe", "pipe"], detached: true });
  endWithUs(child);
  const output = new Output(child);
  const stop = async (): Promise<void> => {
    await endGroup(child);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    const [, url] = await output.printed(/listening on (http:\S+)/);
    const [, adminUrl] = await output.printed(/admin on (http:\S+)/);
    await output.printed(/^ready$/m);
    return {
      url: url!,
      port: Number(new URL(url!).port),
      pid: child.pid!,
      folder,
      output: () => output.text,
      printed: (pattern, from) => output.printed(pattern, from),
      status: async () => JSON.parse(await readAdmin(adminUrl!, "/v1/status")) as Status,
      admin: async (path) => (await askAdmin(adminUrl!, path)).json(),
      metrics: () => readAdmin(adminUrl!, "/metrics"),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

function askAdmin(adminUrl: string, path: string): Promise<Response> {
  return fetch(`${adminUrl}${path}`, { headers: { authorization: `Bearer ${TOKEN}` }, signal: AbortSignal.timeout(DEADLINE_MS) });
}

async function readAdmin(adminUrl: string, path: string): Promise<string> {
  const answer = await askAdmin(adminUrl, path);
  const text = await answer.text();
  if (!answer.ok) throw new Error(`the gateway's ${path} is ${answer.status}: ${text}`);
  return text;
}

class Output {
  text = "";
  #ended = false;
  readonly #looks = new Set<() => void>();

  constructor(child: ChildProcess) {
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.setEncoding("utf8").on("data", (piece: string) => {
        this.text += piece;
        this.#look();
      });
    }
    child.on("close", () => {
      this.#ended = true;
      this.#look();
    });
  }

  #look(): void {
    for (const look of this.#looks) look();
  }

  printed(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    return new Promise((resolve, reject) => {
      const settle = (how: () => void): void => {
        clearTimeout(deadline);
        this.#looks.delete(look);
        how();
      };
      const look = (): void => {
        const match = pattern.exec(this.text.slice(from));
        if (match) settle(() => resolve(match));
        else if (this.#ended) settle(() => reject(new Error(`the gateway ended without printing ${pattern}:\n${this.text}`)));
      };
      const deadline = setTimeout(() => settle(() => reject(new Error(`the gateway did not print ${pattern} in time:\n${this.text}`))), DEADLINE_MS);
      this.#looks.add(look);
      look();
    });
  }
}

async function endGroup(child: ChildProcess): Promise<void> {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const group = -child.pid;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  process.kill(child.pid, "SIGTERM");
  const hard = setTimeout(() => process.kill(group, "SIGKILL"), STOP_DEADLINE_MS);
  await gone;
  clearTimeout(hard);
}

/** Asks for the status until it is as wanted. */
export async function untilStatus(gateway: Gateway, wanted: (status: Status) => boolean): Promise<Status> {
  const deadlineMs = performance.now() + DEADLINE_MS;
  for (;;) {
    const status = await gateway.status();
    if (wanted(status)) return status;
    if (performance.now() > deadlineMs) throw new Error(`the gateway's status did not become what was waited for: ${JSON.stringify(status)}`);
    await pause(20);
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
