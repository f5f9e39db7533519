/** The door of the control room: the admin listener of one gateway. Knows the gateway only through `AdminGateway`. */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { PurgeOrder, PurgeReport } from "../cache/cache.ts";
import type { Clock } from "../clock.ts";
import { systemClock } from "../clock.ts";
import type { AdminListenerConfig, AdminTlsConfig, ListenerConfig } from "../config/resolved.ts";
import { AdminConnections, AdminRate } from "./admin-rate.ts";
import { adminServer, type AdminServer } from "./admin-tls.ts";
import { hostAllowed, originAllowed } from "./admission.ts";
import { z } from "zod";
import { type AdminError, type Answer, type Asked, type Endpoint, failure, type TextAnswer } from "./answers.ts";
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
  readonly listen: AdminListenerConfig;
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
  /** For rate limits. */
  readonly clock?: Clock;
}

export interface Admin {
  readonly address: { readonly scheme: "http" | "https"; readonly host: string; readonly port: number };
  /** Takes certificates that were renewed. Throws what is wrong with them, leaving what was. */
  renew(tls: AdminTlsConfig): void;
  close(): Promise<void>;
}

const HEAD_DEADLINE_MS = 5_000;
const REQUEST_DEADLINE_MS = 30_000;
const HEADER_LIMIT_BYTES = 16 * 1024;
const CONNECTIONS_LIMIT = 200;
/** Whoever fills all that they may have, with heads that never come, locks out nobody who comes from elsewhere. */
const CONNECTIONS_OF_ONE = 150;
const BODY_LIMIT_BYTES = 64 * 1024;
/** In the audit log. */
const LONGEST_REASON = 500;

/** What never changes while it listens. */
interface Desk {
  readonly options: AdminOptions;
  readonly endpoints: readonly Endpoint[];
  readonly owner: TokenConfig;
  readonly rate: AdminRate;
  readonly tls: Pick<AdminServer, "isOwnName" | "certificateFault">;
}

export async function startAdmin(options: AdminOptions): Promise<Admin> {
  const endpoints: Endpoint[] = [...gatewayEndpoints, ...(options.endpoints ?? [])];
  endpoints.push(openApiEndpoint(options.version, () => endpoints));
  const { listen: place, clock = systemClock } = options;
  const { server, renew, ...tls } = adminServer(
    place.tls,
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
  const desk: Desk = {
    options,
    endpoints,
    owner: { name: "admin", roles: ["admin"], sha256: tokenDigest(options.token) },
    rate: new AdminRate(() => clock.now()),
    tls: { ...tls, isOwnName: (name) => name === place.host.toLowerCase() || tls.isOwnName(name) },
  };
  server.maxConnections = CONNECTIONS_LIMIT;
  const connections = new AdminConnections(CONNECTIONS_OF_ONE);
  server.on("connection", (socket: Socket) => {
    const leave = connections.enter(socket.remoteAddress ?? "");
    if (leave === null) socket.destroy();
    else socket.once("close", leave);
  });
  await listen(server, place);
  const { port } = server.address() as { port: number };
  return {
    address: { scheme: place.tls === undefined ? "http" : "https", host: place.host, port },
    renew,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(request: IncomingMessage, desk: Desk): Promise<Answer> {
  const address = request.socket.remoteAddress ?? "";
  // Looked at first, whatever its address did before: who shares one with somebody that fails must not be locked out by them.
  const token = bearerOf(request.headers.authorization, [desk.owner, ...(desk.options.tokens?.() ?? [])]);
  const made = hurried(request, desk, token) ?? (await judge(request, desk, token));
  const { status } = made;
  if (status === 401) desk.rate.failed(address);
  const refused = status === 401 || status === 403 || status === 429;
  if (request.method === "POST" || refused || desk.endpoints.some(({ audited, path }) => audited === true && path === pathOf(request))) {
    desk.options.audit?.({
      // Who asks too often is counted among the strangers, of whom a log has only so many lines.
      actor: status === 429 ? "" : (token?.name ?? ""),
      action: `${request.method} ${pathOf(request).slice(0, 200)}`,
      status,
      reason: "body" in made && status >= 400 ? refusalOf(made.body) : "",
      address,
    });
  }
  return made;
}

/**
 * Asked too often: with this token, or, without one that is known, by this address. Null: it may be judged. What keeps
 * tokens from being guessed is their length (`admin-token.ts`); above the bound each guess needs a connection, and a TLS handshake, of its own.
 */
function hurried(request: IncomingMessage, { rate, endpoints }: Desk, token: TokenConfig | null): Answer | null {
  const address = request.socket.remoteAddress ?? "";
  const tooMany = (seconds: number, found: string): TextAnswer => ({
    ...failure(429, { code: "TOO_MANY_REQUESTS", found, expected: `to be asked again in ${seconds} s` }),
    retryAfterSeconds: seconds,
  });
  if (token !== null) {
    const byToken = rate.withToken(token.name);
    return byToken > 0 ? tooMany(byToken, `too many requests with the token "${token.name}"`) : null;
  }
  const byAddress = rate.fromAddress(address);
  if (byAddress > 0) return { ...tooMany(byAddress, "too many requests from this address without a token that is known"), closes: true };
  const path = pathOf(request);
  const isOpen = endpoints.some((endpoint) => endpoint.role === null && paramsOf(endpoint.path, path) !== null);
  const failed = isOpen ? 0 : rate.mayTry(address);
  return failed > 0 ? { ...tooMany(failed, "too many requests from this address without a token that is known"), closes: true } : null;
}

function refusalOf(body: string): string {
  const { code, found } = JSON.parse(body) as AdminError;
  return `${code}: ${found}`.slice(0, LONGEST_REASON);
}

/** Reads in the order in which a request is judged. */
async function judge(request: IncomingMessage, { options: { listen, gateway }, endpoints, tls }: Desk, token: TokenConfig | null): Promise<Answer> {
  const { headers, method = "" } = request;
  if (!hostAllowed(headers.host, tls.isOwnName)) {
    return failure(421, { code: "HOST_REFUSED", found: `Host: ${headers.host ?? "(none)"}`, expected: `localhost, an address, or ${listen.host}` });
  }
  if (!originAllowed(headers.origin, headers.host)) {
    return failure(403, { code: "ORIGIN_REFUSED", found: `Origin: ${headers.origin}`, expected: "no Origin, or the admin listener's own" });
  }
  const certificate = tls.certificateFault(request);
  if (certificate !== "")
    return failure(403, { code: "CERTIFICATE_REFUSED", found: certificate, expected: "a client certificate that admin.tls.clientCa has signed" });
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
  if ("retryAfterSeconds" in answer) headers["Retry-After"] = answer.retryAfterSeconds!;
  if (status === 401) headers["WWW-Authenticate"] = 'Bearer realm="sluice admin"';
  if (status === 405) headers["Allow"] = methodsOf(endpoints.filter((endpoint) => paramsOf(endpoint.path, pathOf(request)) !== null));
  // Bytes that nobody has read are thrown away, not waited for.
  request.resume();
  if (request.headers["content-length"] !== undefined || request.headers["transfer-encoding"] !== undefined) headers["Connection"] = "close";
  if ("closes" in answer) headers["Connection"] = "close";
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
