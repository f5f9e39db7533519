/** The door of the control room: the admin listener of one gateway. Knows the gateway only through `AdminGateway`. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { PurgeOrder, PurgeReport } from "../cache/cache.ts";
import type { ListenerConfig } from "../config/resolved.ts";
import { hostAllowed, originAllowed } from "./admission.ts";
import { type Answer, type Asked, type Endpoint, failure, json, type TextAnswer } from "./answers.ts";
import { readPurge } from "./purge-request.ts";
import { bearerOf, mayDo, tokenDigest, type TokenConfig } from "./roles.ts";

/** What the admin API asks of the gateway. */
export interface AdminGateway {
  /** "" when it serves, else why not. */
  notReady(): string;
  status(): Promise<object> | object;
  metrics(): Promise<string>;
  /** Null: this gateway has no cache. */
  purge(order: PurgeOrder): Promise<PurgeReport | null>;
}

/** What somebody asked for who may change things, or may not. */
export interface Deed {
  /** The token's name; "" for none that is known. */
  readonly actor: string;
  /** "POST /v1/rollouts". */
  readonly action: string;
  readonly status: number;
  /** The code of a refusal, else "". */
  readonly code: string;
  readonly address: string;
}

export interface AdminOptions {
  readonly listen: ListenerConfig;
  /** Of role "admin". */
  readonly token: string;
  /** Further ones, each with roles of its own; read anew for each request. */
  readonly tokens?: () => readonly TokenConfig[];
  readonly gateway: AdminGateway;
  /** Beside those of this file. */
  readonly endpoints?: readonly Endpoint[];
  /** Every change that was asked for, and every refusal. */
  readonly audit?: (deed: Deed) => void;
  readonly log: (level: "info" | "warn" | "error", event: string, facts: Readonly<Record<string, unknown>>) => void;
}

export interface Admin {
  readonly address: { readonly host: string; readonly port: number };
  close(): Promise<void>;
}

const HEAD_DEADLINE_MS = 5_000;
const REQUEST_DEADLINE_MS = 30_000;
const HEADER_LIMIT_BYTES = 16 * 1024;
const CONNECTIONS_LIMIT = 200;
const BODY_LIMIT_BYTES = 64 * 1024;

const OWN_ENDPOINTS: readonly Endpoint[] = [
  { path: "/health", method: "GET", role: null, answer: () => json(200, { status: "alive" }) },
  { path: "/ready", method: "GET", role: null, answer: (_asked, gateway) => ready(gateway) },
  {
    path: "/metrics",
    method: "GET",
    role: "read",
    answer: async (_asked, gateway) => ({ status: 200, type: "text/plain; version=0.0.4; charset=utf-8", body: await gateway.metrics() }),
  },
  { path: "/v1/status", method: "GET", role: "read", answer: async (_asked, gateway) => json(200, await gateway.status()) },
  { path: "/v1/cache/purge", method: "POST", role: "activate", answer: ({ body }, gateway) => purge(gateway, body) },
];

/** What never changes while it listens. */
interface Desk {
  readonly options: AdminOptions;
  readonly endpoints: readonly Endpoint[];
  readonly owner: TokenConfig;
}

export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const desk: Desk = {
    options,
    endpoints: [...OWN_ENDPOINTS, ...(options.endpoints ?? [])],
    owner: { name: "admin", roles: ["admin"], sha256: tokenDigest(options.token) },
  };
  const server = createServer(
    {
      maxHeaderSize: HEADER_LIMIT_BYTES,
      headersTimeout: HEAD_DEADLINE_MS,
      requestTimeout: REQUEST_DEADLINE_MS,
      keepAliveTimeout: HEAD_DEADLINE_MS,
      connectionsCheckingInterval: 1_000,
    },
    (request, response) => {
      answer(request, desk).then(
        (made) => send(request, response, made, desk),
        (thrown: unknown) => {
          options.log("error", "admin-defect", { path: request.url, reason: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) });
          send(request, response, failure(500, { code: "INTERNAL", found: "a defect in the admin API", expected: "an answer; the log has the rest" }), desk);
        },
      );
    },
  );
  server.maxConnections = CONNECTIONS_LIMIT;
  await listen(server, options.listen);
  const { port } = server.address() as { port: number };
  return {
    address: { host: options.listen.host, port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(request: IncomingMessage, desk: Desk): Promise<Answer> {
  const token = bearerOf(request.headers.authorization, [desk.owner, ...(desk.options.tokens?.() ?? [])]);
  const made = await judge(request, desk, token);
  const refused = made.status === 401 || made.status === 403;
  if (request.method === "POST" || refused) {
    const code = "body" in made && made.status >= 400 ? (JSON.parse(made.body) as { code: string }).code : "";
    desk.options.audit?.({
      actor: token?.name ?? "",
      action: `${request.method} ${pathOf(request).slice(0, 200)}`,
      status: made.status,
      code,
      address: request.socket.remoteAddress ?? "",
    });
  }
  return made;
}

/** Reads in the order in which a request is judged. */
async function judge(request: IncomingMessage, { options: { listen, gateway }, endpoints }: Desk, token: TokenConfig | null): Promise<Answer> {
  const { headers, method = "" } = request;
  if (!hostAllowed(headers.host, listen.host)) {
    return failure(421, { code: "HOST_REFUSED", found: `Host: ${headers.host ?? "(none)"}`, expected: `localhost, an address, or ${listen.host}` });
  }
  if (!originAllowed(headers.origin, headers.host)) {
    return failure(403, { code: "ORIGIN_REFUSED", found: `Origin: ${headers.origin}`, expected: "no Origin, or the admin listener's own" });
  }
  const path = pathOf(request);
  const there = endpoints.filter((endpoint) => restOf(endpoint, path) !== null);
  // Whoever has no token learns nothing about which paths there are.
  if (token === null && !there.some(({ role }) => role === null)) {
    return failure(401, {
      code: "UNAUTHORIZED",
      found: headers.authorization === undefined ? "no Authorization" : "an Authorization that does not fit",
      expected: "Authorization: Bearer TOKEN (SLUICE_ADMIN_TOKEN, or the file admin-token in stateDir)",
    });
  }
  if (there.length === 0)
    return failure(404, { code: "NOT_FOUND", found: path.slice(0, 200), expected: [...new Set(endpoints.map((endpoint) => endpoint.path))].join(", ") });
  const endpoint = there.find((one) => one.method === method || (one.method === "GET" && method === "HEAD"));
  if (endpoint === undefined) return failure(405, { code: "METHOD_NOT_ALLOWED", found: method, expected: methodsOf(there) });
  if (endpoint.role !== null && !mayDo(token!, endpoint.role))
    return failure(403, {
      code: "ROLE_MISSING",
      found: `the token "${token!.name}" with ${token!.roles.join(", ") || "no role"}`,
      expected: `one with the role ${endpoint.role}`,
    });
  const asked: Omit<Asked, "body"> = {
    rest: restOf(endpoint, path)!,
    query: new URLSearchParams((request.url ?? "").split("?").slice(1).join("?")),
    actor: token?.name ?? "",
  };
  if (endpoint.method === "GET") return endpoint.answer({ ...asked, body: undefined }, gateway);
  const limitBytes = endpoint.bodyLimitBytes ?? BODY_LIMIT_BYTES;
  const body = await jsonOf(request, limitBytes);
  return body === undefined
    ? failure(400, { code: "BODY_REFUSED", found: "no JSON, or too much of it", expected: `JSON of at most ${limitBytes} bytes` })
    : endpoint.answer({ ...asked, body }, gateway);
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? "/").split("?", 1)[0]!;
}

/** What stands for "*"; null: another path. */
function restOf({ path }: Endpoint, asked: string): string | null {
  if (!path.endsWith("/*")) return path === asked ? "" : null;
  const stem = path.slice(0, -1);
  return asked.startsWith(stem) && asked.length > stem.length ? asked.slice(stem.length) : null;
}

function methodsOf(endpoints: readonly Endpoint[]): string {
  return endpoints.map(({ method }) => (method === "GET" ? "GET, HEAD" : method)).join(", ");
}

/** Undefined: none that can be read. The request's deadline bounds the wait. */
async function jsonOf(request: IncomingMessage, limitBytes: number): Promise<unknown> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > limitBytes) return undefined;
    pieces.push(piece);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString("utf8")) as unknown;
  } catch {
    // Said to the caller as such.
    return undefined;
  }
}

async function purge(gateway: AdminGateway, body: unknown): Promise<TextAnswer> {
  const order = readPurge(body);
  if ("expected" in order) return failure(400, { code: "BODY_REFUSED", ...order });
  const report = await gateway.purge(order);
  if (report === null) return failure(409, { code: "NO_CACHE", found: "a config without cache", expected: "cache: {}, or a route with cache" });
  if (report.reason !== "")
    return failure(503, {
      code: "PURGE_INCOMPLETE",
      found: `${report.done} of ${report.members} workers: ${report.reason}`,
      expected: "every worker of every gateway",
    });
  return json(200, { purged: { [order.kind]: order.kind === "all" ? true : order.value }, soft: order.soft, workers: report.done });
}

function ready(gateway: AdminGateway): TextAnswer {
  const why = gateway.notReady();
  return why === "" ? json(200, { status: "ready" }) : failure(503, { code: "NOT_READY", found: why, expected: "at least one worker that serves" });
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer, { endpoints }: Desk): void {
  const { status, type } = answer;
  const headers: Record<string, string | number> = { "Content-Type": type, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" };
  if (status === 401) headers["WWW-Authenticate"] = 'Bearer realm="sluice admin"';
  if (status === 405) headers["Allow"] = methodsOf(endpoints.filter((endpoint) => restOf(endpoint, pathOf(request)) !== null));
  // Bytes that nobody has read are thrown away, not waited for.
  request.resume();
  if (request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined) headers["Connection"] = "close";
  if ("stream" in answer) {
    response.writeHead(status, headers);
    if (request.method === "HEAD") response.end();
    else answer.stream(response);
    return;
  }
  const bytes = Buffer.from(answer.body);
  headers["Content-Length"] = bytes.length;
  response.writeHead(status, headers);
  response.end(request.method === "HEAD" ? undefined : bytes);
}

function listen(server: Server, { host, port }: ListenerConfig): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const why = error.code === "EADDRINUSE" ? `port ${port} is taken by another program; stop it, or choose another port` : error.message;
      reject(new Error(`admin (${host}, port ${port}): ${why}`, { cause: error }));
    });
    server.listen({ host, port }, resolve);
  });
}
