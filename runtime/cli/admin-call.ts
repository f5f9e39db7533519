/** How commands reach a running gateway: the admin API named by `--admin`, or by the config of this folder. */
import { readFileSync } from "node:fs";
import { request as requestHttp } from "node:http";
import { request as requestHttps, type RequestOptions } from "node:https";
import path from "node:path";
import { Readable } from "node:stream";
import type { ReadableStream } from "node:stream/web";
import { setTimeout as pause } from "node:timers/promises";
import { ConfigError, loadConfig } from "../config/config.ts";
import type { Terminal } from "./terminal.ts";

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

const FAILED = 1;
const DEADLINE_MS = 30_000;
/** Commands that wait for something ask often; the gateway says when it is too often. */
const MAX_PAUSES = 5;
const LONGEST_PAUSE_S = 10;

/** A command that asks a gateway: what it is refused, or whom it cannot reach, is told in one line, exit code 1. */
export async function reaching(terminal: Terminal, run: () => Promise<number>): Promise<number> {
  try {
    return await run();
  } catch (thrown) {
    if (!(thrown instanceof AdminCallError)) throw thrown;
    terminal.problem(thrown.message);
    return FAILED;
  }
}

/** The answer's JSON, to a POST when there is a body. Throws an `AdminCallError` that says what to do. */
export async function callAdmin(place: AdminPlace, endpoint: string, body?: object): Promise<Readonly<Record<string, unknown>>> {
  const door = await doorOf(place);
  for (let pauses = 0; ; pauses++) {
    const answer = await door.ask(endpoint, {
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(DEADLINE_MS),
    });
    if (answer.status === 429 && pauses < MAX_PAUSES) {
      await answer.body?.cancel();
      await pause(Math.min(Number(answer.headers.get("retry-after") ?? 1), LONGEST_PAUSE_S) * 1000);
      continue;
    }
    const value = await valueOf(answer, door.base);
    if (answer.ok) return value;
    const { code, found, expected } = value;
    throw new AdminCallError(`${String(code)}: found ${String(found)}, expected ${String(expected)}${nextStep(String(code), String(found))}`, {
      code: String(code),
    });
  }
}

/** Something else may listen there: the gateway's other listener, another program. */
async function valueOf(answer: Response, base: string): Promise<Readonly<Record<string, unknown>>> {
  const text = await answer.text().catch((cause: unknown) => {
    throw new AdminCallError(`${base} broke off its answer (${(cause as Error).message}); what was asked for may have been done: sluice status shows it`, {
      cause,
    });
  });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  if (typeof value === "object" && value !== null && (answer.ok || "code" in value)) return value as Readonly<Record<string, unknown>>;
  throw new AdminCallError(
    `what answers at ${base} is no admin API of Sluice (status ${answer.status}, ${answer.headers.get("content-type") ?? "no content type"}); sluice start prints where that is ("admin on …")`,
  );
}

/** What whoever gave the command can do about it. */
function nextStep(code: string, found: string): string {
  switch (code) {
    case "BASE_OUTDATED":
      return "; see with sluice plan what a deploy would change now, then deploy again";
    case "CERTIFICATE_REFUSED":
      return ": SLUICE_ADMIN_CERT and SLUICE_ADMIN_KEY name its files";
    case "STORE_AWAY":
      return "; gateways serve on as they are, and nothing can be changed or listed until it is back";
    case "ROLLOUT_RUNNING":
      return "; sluice status shows it";
    case "RELEASE_REFUSED":
      return found.includes("is not signed") ? ", and signed: --sign-key FILE, or the key in SLUICE_SIGNING_KEY" : "";
    default:
      return "";
  }
}

export interface Asking {
  /** JSON, of a POST. */
  readonly body?: string;
  readonly signal: AbortSignal;
}

export interface AdminDoor {
  /** URL of the listener. */
  readonly base: string;
  /** An answer whose body may still come. Throws an `AdminCallError` when there is none. */
  readonly ask: (endpoint: string, asking: Asking) => Promise<Response>;
}

/** Where the admin listener is, with what opens it. */
export async function doorOf(place: AdminPlace): Promise<AdminDoor> {
  const { base, token } = await placeOf(place);
  const certificates = certificatesOf(process.env);
  return {
    base,
    async ask(endpoint, asking) {
      try {
        return await send(new URL(endpoint, base), token, certificates, asking);
      } catch (thrown) {
        if (asking.signal.reason instanceof DOMException && asking.signal.reason.name === "TimeoutError")
          throw new AdminCallError(`${base} did not answer ${endpoint} within ${DEADLINE_MS / 1000} s`, { cause: thrown });
        const { code = "", message } = thrown as NodeJS.ErrnoException;
        throw new AdminCallError(`no gateway answers at ${base} (${code === "" ? message : code})${hint(code)}`, { cause: thrown });
      }
    },
  };
}

function hint(code: string): string {
  if (/CERT|SIGNED|VERIFY|ISSUER/.test(code)) return ": its certificate is not trusted; name its authority with SLUICE_ADMIN_CA";
  if (/SSL|TLS|EPROTO|ECONNRESET/.test(code)) return "; does it speak TLS (https://), or not?";
  return "; is it running, and is --admin right?";
}

type Certificates = Pick<RequestOptions, "ca" | "cert" | "key">;

/** `SLUICE_ADMIN_CA`, `SLUICE_ADMIN_CERT`, `SLUICE_ADMIN_KEY`: files in PEM. */
function certificatesOf(env: NodeJS.ProcessEnv): Certificates {
  const read = (name: string): string | undefined => {
    const file = env[name] ?? "";
    if (file === "") return undefined;
    try {
      return readFileSync(file, "utf8");
    } catch (cause) {
      throw new AdminCallError(`${name}: ${file} cannot be read (${(cause as NodeJS.ErrnoException).code})`, { cause });
    }
  };
  const [ca, cert, key] = [read("SLUICE_ADMIN_CA"), read("SLUICE_ADMIN_CERT"), read("SLUICE_ADMIN_KEY")];
  if ((cert === undefined) !== (key === undefined)) throw new AdminCallError("SLUICE_ADMIN_CERT and SLUICE_ADMIN_KEY: found one, expected both or none");
  return { ...(ca === undefined ? {} : { ca }), ...(cert === undefined || key === undefined ? {} : { cert, key }) };
}

/** Not `fetch`: it shows no certificate. */
function send(url: URL, token: string, certificates: Certificates, { body, signal }: Asking): Promise<Response> {
  const request = url.protocol === "https:" ? requestHttps : requestHttp;
  return new Promise((resolve, reject) => {
    const headers = {
      authorization: `Bearer ${token}`,
      ...(body === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(body) }),
    };
    const asked = request(url, { method: body === undefined ? "GET" : "POST", headers, agent: false, signal, ...certificates }, (incoming) => {
      const fields = new Headers();
      for (let i = 0; i + 1 < incoming.rawHeaders.length; i += 2) fields.append(incoming.rawHeaders[i]!, incoming.rawHeaders[i + 1]!);
      const status = incoming.statusCode!;
      const hasBody = status !== 204 && status !== 304;
      if (!hasBody) incoming.resume();
      resolve(new Response(hasBody ? (Readable.toWeb(incoming) as ReadableStream<Uint8Array>) : null, { status, headers: fields }));
    });
    asked.on("error", reject);
    asked.end(body);
  });
}

async function placeOf({ admin, config }: AdminPlace): Promise<{ base: string; token: string }> {
  const fromEnvironment = process.env["SLUICE_ADMIN_TOKEN"] ?? "";
  if (admin !== undefined && fromEnvironment !== "") return { base: admin, token: fromEnvironment };
  const { config: found } = await loadConfig(config).catch((thrown: unknown) => {
    if (!(thrown instanceof ConfigError)) throw thrown;
    const missing =
      admin === undefined
        ? "no gateway is named: --admin URL, or a config with --config FILE"
        : "no admin token: SLUICE_ADMIN_TOKEN is not set, and no config (--config FILE) says where a gateway on this machine keeps it";
    throw new AdminCallError(`${missing}; ${thrown.message}`, { cause: thrown });
  });
  if (admin === undefined && found.admin === null) throw new AdminCallError("this config has admin: false; name the admin listener with --admin URL");
  const host = found.admin?.host ?? "127.0.0.1";
  const name = host.includes(":") ? `[${host === "::" ? "::1" : host}]` : host === "0.0.0.0" ? "127.0.0.1" : host;
  const base = admin ?? `${found.admin?.tls === undefined ? "http" : "https"}://${name}:${found.admin!.port}`;
  if (fromEnvironment !== "") return { base, token: fromEnvironment };
  const file = path.join(found.stateDir, "admin-token");
  try {
    return { base, token: readFileSync(file, "utf8").trim() };
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    const why = code === "ENOENT" ? "is not there; sluice start writes it when it starts" : `cannot be read (${code}); its owner is who runs the gateway`;
    throw new AdminCallError(`no admin token: SLUICE_ADMIN_TOKEN is not set, and ${file} ${why}`, { cause });
  }
}
