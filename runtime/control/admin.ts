/** The door of the control room: the admin listener of one gateway. Knows the gateway only through `AdminGateway`. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { PurgeOrder, PurgeReport } from "../cache/cache.ts";
import type { ListenerConfig } from "../config/resolved.ts";
import { bearerMatches, hostAllowed, originAllowed } from "./admission.ts";
import { readPurge } from "./purge-request.ts";

/** What the admin API asks of the gateway. */
export interface AdminGateway {
  /** "" when it serves, else why not. */
  notReady(): string;
  status(): Promise<object> | object;
  metrics(): Promise<string>;
  /** Null: this gateway has no cache. */
  purge(order: PurgeOrder): Promise<PurgeReport | null>;
}

export interface AdminOptions {
  readonly listen: ListenerConfig;
  readonly token: string;
  readonly gateway: AdminGateway;
  readonly log: (level: "info" | "warn" | "error", event: string, facts: Readonly<Record<string, unknown>>) => void;
}

export interface Admin {
  readonly address: { readonly host: string; readonly port: number };
  close(): Promise<void>;
}

/** Every error of the admin API. */
export interface AdminError {
  readonly code:
    | "NOT_FOUND"
    | "METHOD_NOT_ALLOWED"
    | "UNAUTHORIZED"
    | "HOST_REFUSED"
    | "ORIGIN_REFUSED"
    | "NOT_READY"
    | "BODY_REFUSED"
    | "NO_CACHE"
    | "PURGE_INCOMPLETE"
    | "INTERNAL";
  readonly found: string;
  readonly expected: string;
}

interface Endpoint {
  readonly open: boolean;
  /** What comes with a body is a POST. */
  readonly method: "GET" | "POST";
  /** `body`: the JSON of a POST, else undefined. */
  readonly answer: (gateway: AdminGateway, body: unknown) => Promise<Answer> | Answer;
}
export interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const HEAD_DEADLINE_MS = 5_000;
const REQUEST_DEADLINE_MS = 30_000;
const HEADER_LIMIT_BYTES = 16 * 1024;
const CONNECTIONS_LIMIT = 200;
const BODY_LIMIT_BYTES = 64 * 1024;

const ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  "/health": { open: true, method: "GET", answer: () => json(200, { status: "alive" }) },
  "/ready": { open: true, method: "GET", answer: ready },
  "/metrics": {
    open: false,
    method: "GET",
    answer: async (gateway) => ({ status: 200, type: "text/plain; version=0.0.4; charset=utf-8", body: await gateway.metrics() }),
  },
  "/v1/status": { open: false, method: "GET", answer: async (gateway) => json(200, await gateway.status()) },
  "/v1/cache/purge": { open: false, method: "POST", answer: purge },
};

export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const server = createServer(
    {
      maxHeaderSize: HEADER_LIMIT_BYTES,
      headersTimeout: HEAD_DEADLINE_MS,
      requestTimeout: REQUEST_DEADLINE_MS,
      keepAliveTimeout: HEAD_DEADLINE_MS,
      connectionsCheckingInterval: 1_000,
    },
    (request, response) => {
      answer(request, options).then(
        (made) => send(request, response, made),
        (thrown: unknown) => {
          options.log("error", "admin-defect", { path: request.url, reason: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) });
          send(request, response, failure(500, { code: "INTERNAL", found: "a defect in the admin API", expected: "an answer; the log has the rest" }));
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

/** Reads in the order in which a request is judged. */
async function answer(request: IncomingMessage, { listen, token, gateway }: AdminOptions): Promise<Answer> {
  const { headers, method = "" } = request;
  if (!hostAllowed(headers.host, listen.host)) {
    return failure(421, { code: "HOST_REFUSED", found: `Host: ${headers.host ?? "(none)"}`, expected: `localhost, an address, or ${listen.host}` });
  }
  if (!originAllowed(headers.origin, headers.host)) {
    return failure(403, { code: "ORIGIN_REFUSED", found: `Origin: ${headers.origin}`, expected: "no Origin, or the admin listener's own" });
  }
  const path = (request.url ?? "/").split("?", 1)[0]!;
  const endpoint = Object.hasOwn(ENDPOINTS, path) ? ENDPOINTS[path]! : null;
  const admitted = bearerMatches(headers.authorization, token);
  // Whoever has no token learns nothing about which paths there are.
  if (!admitted && !endpoint?.open) {
    return failure(401, {
      code: "UNAUTHORIZED",
      found: headers.authorization === undefined ? "no Authorization" : "an Authorization that does not fit",
      expected: "Authorization: Bearer TOKEN (SLUICE_ADMIN_TOKEN, or the file admin-token in stateDir)",
    });
  }
  if (endpoint === null) return failure(404, { code: "NOT_FOUND", found: path.slice(0, 200), expected: Object.keys(ENDPOINTS).join(", ") });
  if (method !== endpoint.method && !(method === "HEAD" && endpoint.method === "GET"))
    return failure(405, { code: "METHOD_NOT_ALLOWED", found: method, expected: endpoint.method });
  if (endpoint.method === "GET") return endpoint.answer(gateway, undefined);
  const body = await jsonOf(request);
  return body === undefined
    ? failure(400, { code: "BODY_REFUSED", found: "no JSON, or too much of it", expected: `JSON of at most ${BODY_LIMIT_BYTES} bytes` })
    : endpoint.answer(gateway, body);
}

/** Undefined: none that can be read. The request's deadline bounds the wait. */
async function jsonOf(request: IncomingMessage): Promise<unknown> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > BODY_LIMIT_BYTES) return undefined;
    pieces.push(piece);
  }
  try {
    return JSON.parse(Buffer.concat(pieces).toString("utf8")) as unknown;
  } catch {
    // Said to the caller as such.
    return undefined;
  }
}

async function purge(gateway: AdminGateway, body: unknown): Promise<Answer> {
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

function ready(gateway: AdminGateway): Answer {
  const why = gateway.notReady();
  return why === "" ? json(200, { status: "ready" }) : failure(503, { code: "NOT_READY", found: why, expected: "at least one worker that serves" });
}

export function failure(status: number, error: AdminError): Answer {
  return json(status, error);
}

export function json(status: number, value: object): Answer {
  return { status, type: "application/json", body: `${JSON.stringify(value)}\n` };
}

function send(request: IncomingMessage, response: ServerResponse, { status, type, body }: Answer): void {
  const bytes = Buffer.from(body);
  const headers: Record<string, string | number> = {
    "Content-Type": type,
    "Content-Length": bytes.length,
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
  };
  if (status === 401) headers["WWW-Authenticate"] = 'Bearer realm="sluice admin"';
  if (status === 405) headers["Allow"] = ENDPOINTS[(request.url ?? "/").split("?", 1)[0]!]?.method === "POST" ? "POST" : "GET, HEAD";
  // Bytes that nobody has read are thrown away, not waited for.
  request.resume();
  if (request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined) headers["Connection"] = "close";
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
