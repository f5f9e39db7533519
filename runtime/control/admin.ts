/** The door of the control room: the admin listener of one gateway. Knows the gateway only through `AdminGateway`. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { ListenerConfig } from "../config/resolved.ts";
import { bearerMatches, hostAllowed, originAllowed } from "./admission.ts";

/** What the admin API asks of the gateway. */
export interface AdminGateway {
  /** "" when it serves, else why not. */
  notReady(): string;
  status(): Promise<object> | object;
  metrics(): Promise<string>;
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
  readonly code: "NOT_FOUND" | "METHOD_NOT_ALLOWED" | "UNAUTHORIZED" | "HOST_REFUSED" | "ORIGIN_REFUSED" | "NOT_READY" | "INTERNAL";
  readonly found: string;
  readonly expected: string;
}

interface Endpoint {
  readonly open: boolean;
  readonly answer: (gateway: AdminGateway) => Promise<Answer> | Answer;
}
interface Answer {
  readonly status: number;
  readonly type: string;
  readonly body: string;
}

const HEAD_DEADLINE_MS = 5_000;
const REQUEST_DEADLINE_MS = 30_000;
const HEADER_LIMIT_BYTES = 16 * 1024;
const CONNECTIONS_LIMIT = 200;

const ENDPOINTS: Readonly<Record<string, Endpoint>> = {
  "/health": { open: true, answer: () => json(200, { status: "alive" }) },
  "/ready": { open: true, answer: ready },
  "/metrics": { open: false, answer: async (gateway) => ({ status: 200, type: "text/plain; version=0.0.4; charset=utf-8", body: await gateway.metrics() }) },
  "/v1/status": { open: false, answer: async (gateway) => json(200, await gateway.status()) },
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
      // Nothing here takes a body; bytes that come anyway are thrown away until the answer closes the connection.
      request.resume();
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
  if (method !== "GET" && method !== "HEAD") return failure(405, { code: "METHOD_NOT_ALLOWED", found: method, expected: "GET" });
  return endpoint.answer(gateway);
}

function ready(gateway: AdminGateway): Answer {
  const why = gateway.notReady();
  return why === "" ? json(200, { status: "ready" }) : failure(503, { code: "NOT_READY", found: why, expected: "at least one worker that serves" });
}

function failure(status: number, error: AdminError): Answer {
  return json(status, error);
}

function json(status: number, value: object): Answer {
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
  if (status === 405) headers["Allow"] = "GET, HEAD";
  // A request with a body is none of ours: its bytes are not waited for.
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
