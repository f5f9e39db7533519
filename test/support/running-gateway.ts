/** A whole gateway, started as an operator would: `sluice start` on a config of its own, on free ports. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type Running, startSluice } from "../e2e/sluice-command.ts";

export interface RunningGateway {
  readonly url: string;
  readonly port: number;
  readonly folder: string;
  readonly process: Running;
  /** `/v1/status`. */
  status(): Promise<GatewayStatus>;
  metrics(): Promise<string>;
  stop(): Promise<number>;
}

export interface GatewayStatus {
  readonly release: string;
  readonly workers: readonly {
    readonly pid: number;
    readonly state: string;
    readonly sandbox: { readonly activePid: number; readonly sparePid: number; readonly restarts: number; readonly quarantined: readonly string[] } | null;
  }[];
}

export interface GatewaySpec {
  /** Config as JSON; listener, admin and state folder are filled in. */
  readonly config: Readonly<Record<string, unknown>>;
  /** Rule file → TypeScript. */
  readonly rules?: Readonly<Record<string, string>>;
  readonly env?: Readonly<Record<string, string>>;
}

export async function startGateway(spec: GatewaySpec): Promise<RunningGateway> {
  const folder = await mkdtemp(join(tmpdir(), "sluice-gateway-"));
  for (const [name, text] of Object.entries(spec.rules ?? {})) {
    const file = join(folder, "rules", name);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
  }
  const config = {
    listeners: [{ host: "127.0.0.1", port: 0 }],
    workers: 1,
    admin: { port: 0 },
    log: { access: "errors" },
    stateDir: "./state",
    ...(spec.rules ? { rules: "./rules" } : {}),
    ...spec.config,
  };
  await writeFile(join(folder, "sluice.config.json"), JSON.stringify(config));
  const running = startSluice(folder, ["start"], undefined, spec.env);
  const [, url] = await running.printed(/listening on (\S+)/);
  const [, admin] = await running.printed(/admin on (\S+)/);
  await running.printed(/^ready$/m);
  const token = spec.env?.["SLUICE_ADMIN_TOKEN"] ?? (await readFile(join(folder, "state/admin-token"), "utf8")).trim();
  const ask = async (path: string): Promise<Response> => {
    const answer = await fetch(`${admin}${path}`, { headers: { authorization: `Bearer ${token}` } });
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`);
    return answer;
  };
  return {
    url: url!,
    port: Number(new URL(url!).port),
    folder,
    process: running,
    status: async () => (await (await ask("/v1/status")).json()) as GatewayStatus,
    metrics: async () => (await ask("/metrics")).text(),
    async stop() {
      running.child.kill("SIGTERM");
      const code = await running.exit;
      await rm(folder, { recursive: true, force: true });
      return code;
    },
  };
}
