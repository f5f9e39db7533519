/** How commands reach a running gateway: the admin API named by `--admin`, or by the config of this folder. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { loadConfig } from "../config/config.ts";

export interface AdminPlace {
  /** `--admin`: URL of the admin listener. */
  readonly admin?: string;
  /** Where to look for a config when there is none. */
  readonly config: string;
}

export class AdminCallError extends Error {
  /** Of the admin API's answer; "" when there was none. */
  readonly code: string;
  constructor(message: string, options: ErrorOptions & { readonly code?: string } = {}) {
    super(message, options);
    this.code = options.code ?? "";
  }
}

const DEADLINE_MS = 30_000;

/** The answer's JSON, to a POST when there is a body. Throws an `AdminCallError` that says what to do. */
export async function callAdmin(place: AdminPlace, endpoint: string, body?: object): Promise<Readonly<Record<string, unknown>>> {
  const { base, token } = await doorOf(place);
  const answer = await fetch(new URL(endpoint, base), {
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
    ...(body === undefined ? {} : { method: "POST", body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(DEADLINE_MS),
  }).catch((thrown: unknown) => {
    const cause = (thrown as { cause?: { code?: string } }).cause?.code ?? (thrown as Error).message;
    throw new AdminCallError(`no gateway answers at ${base} (${cause}); is it running, and is --admin right?`);
  });
  const value = (await answer.json()) as Readonly<Record<string, unknown>>;
  if (answer.ok) return value;
  throw new AdminCallError(`${String(value["code"])}: found ${String(value["found"])}, expected ${String(value["expected"])}`, { code: String(value["code"]) });
}

/** Where the admin listener is, and what opens it. */
export async function doorOf({ admin, config }: AdminPlace): Promise<{ base: string; token: string }> {
  const fromEnvironment = process.env["SLUICE_ADMIN_TOKEN"] ?? "";
  if (admin !== undefined && fromEnvironment !== "") return { base: admin, token: fromEnvironment };
  const { config: found } = await loadConfig(config);
  if (admin === undefined && found.admin === null) throw new AdminCallError("this config has admin: false; name the admin listener with --admin URL");
  const host = found.admin?.host ?? "127.0.0.1";
  const base = admin ?? `http://${host.includes(":") ? `[${host}]` : host === "0.0.0.0" ? "127.0.0.1" : host}:${found.admin!.port}`;
  if (fromEnvironment !== "") return { base, token: fromEnvironment };
  const file = path.join(found.stateDir, "admin-token");
  try {
    return { base, token: readFileSync(file, "utf8").trim() };
  } catch (cause) {
    throw new AdminCallError(`no admin token: SLUICE_ADMIN_TOKEN is not set, and ${file} cannot be read`, { cause });
  }
}
