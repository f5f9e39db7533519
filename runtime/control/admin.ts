/** The door of the control room: the admin listener of one gateway. Knows the gateway only through `AdminGateway`. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { PurgeOrder, PurgeReport } from "../cache/cache.ts";
import type { ListenerConfig } from "../config/resolved.ts";
import { hostAllowed, originAllowed } from "./admission.ts";
import { z } from "zod";
import { type AdminError, type Answer, type Asked, type Endpoint, failure } from "./answers.ts";
import { gatewayEndpoints } from "./gateway-endpoints.ts";
import { openApiEndpoint } from "./openapi.ts";
import { paramsOf } from "./paths.ts";
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
  /** The code of a refusal and what was found, else "". */
  readonly reason: string;
  readonly address: string;
}

export interface AdminOptions {
  readonly listen: ListenerConfig;
  /** Of role "admin". */
  readonly token: string;
  /** Further ones, each with roles of its own; read anew for each request. */
  readonly tokens?: () => readonly TokenConfig[];
  readonly gateway: AdminGateway;
  /** Sluice's own. */
  readonly version: string;
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
/** In the audit log. */
const LONGEST_REASON = 500;

/** What never changes while it listens. */
interface Desk {
  readonly options: AdminOptions;
  readonly endpoints: readonly Endpoint[];
  readonly owner: TokenConfig;
}

export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const endpoints: Endpoint[] = [...gatewayEndpoints, ...(options.endpoints ?? [])];
  endpoints.push(openApiEndpoint(options.version, () => endpoints));
  const desk: Desk = {
    options,
    endpoints,
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
  if (request.method === "POST" || refused || desk.endpoints.some(({ audited, path }) => audited === true && path === pathOf(request))) {
    desk.options.audit?.({
      actor: token?.name ?? "",
      action: `${request.method} ${pathOf(request).slice(0, 200)}`,
      status: made.status,
      reason: "body" in made && made.status >= 400 ? refusalOf(made.body) : "",
      address: request.socket.remoteAddress ?? "",
    });
  }
  return made;
}

function refusalOf(body: string): string {
  const { code, found } = JSON.parse(body) as AdminError;
  return `${code}: ${found}`.slice(0, LONGEST_REASON);
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
  const there = endpoints.filter((endpoint) => paramsOf(endpoint.path, path) !== null);
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
  const body = endpoint.method === "GET" ? { value: undefined } : await bodyOf(request, endpoint);
  if ("expected" in body) return failure(400, { code: "BODY_REFUSED", ...body });
  const asked: Asked = {
    body: body.value,
    params: paramsOf(endpoint.path, path)!,
    query: new URLSearchParams((request.url ?? "").split("?").slice(1).join("?")),
    actor: token?.name ?? "",
  };
  return endpoint.answer(asked, gateway);
}

function pathOf(request: IncomingMessage): string {
  return (request.url ?? "/").split("?", 1)[0]!;
}

function methodsOf(endpoints: readonly Endpoint[]): string {
  return endpoints.map(({ method }) => (method === "GET" ? "GET, HEAD" : method)).join(", ");
}

type Body = { readonly value: unknown } | { readonly found: string; readonly expected: string };
const NOTHING = z.strictObject({});

/** JSON of the shape that the endpoint asks for. The request's deadline bounds the wait. */
async function bodyOf(request: IncomingMessage, { asks = NOTHING, bodyLimitBytes = BODY_LIMIT_BYTES }: Endpoint): Promise<Body> {
  const expected = `JSON of at most ${bodyLimitBytes} bytes`;
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of request as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > bodyLimitBytes) return { found: "too much of it", expected };
    pieces.push(piece);
  }
  let value: unknown;
  try {
    value = bytes === 0 && asks === NOTHING ? {} : (JSON.parse(Buffer.concat(pieces).toString("utf8")) as unknown);
  } catch {
    // Said to the caller as such.
    return { found: bytes === 0 ? "no body" : "no JSON", expected };
  }
  const parsed = asks.safeParse(value);
  if (parsed.success) return { value };
  const [issue] = parsed.error.issues;
  const place = issue!.path.join(".");
  return {
    found: `${place === "" ? "" : `${place}: `}${issue!.message}`,
    expected: `what /v1/openapi.json says of ${request.method} ${pathOf(request).slice(0, 200)}`,
  };
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer, { endpoints }: Desk): void {
  const { status, type } = answer;
  const headers: Record<string, string | number> = { "Content-Type": type, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff" };
  if (status === 401) headers["WWW-Authenticate"] = 'Bearer realm="sluice admin"';
  if (status === 405) headers["Allow"] = methodsOf(endpoints.filter((endpoint) => paramsOf(endpoint.path, pathOf(request)) !== null));
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
