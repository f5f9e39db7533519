/**
 * The one table of errors that the gateway itself answers or logs. The client gets status, `Sluice-Error: CODE`
 * and the request id; the log gets the rest. Docs and table are held together by a test.
 */
export type ErrorSource = "client" | "upstream" | "rule" | "gateway" | "store";

interface ErrorRow {
  /** HTTP status of the answer; 0 means that nobody is left to answer (logged only, as 499). */
  readonly status: number;
  readonly source: ErrorSource;
  /** May the same request be sent again with hope? */
  readonly retryable: boolean;
  /** One line for the operator. */
  readonly meaning: string;
  /** What to do next. */
  readonly action: string;
}

export const ERRORS = {
  REQUEST_MALFORMED: { status: 400, source: "client", retryable: false, meaning: "The request is no valid HTTP/1.1 (RFC 9112).", action: "Mend the client; the log names the offending part." },
  REQUEST_AMBIGUOUS: { status: 400, source: "client", retryable: false, meaning: "The request's length can be read in two ways (Content-Length and Transfer-Encoding), which is request smuggling.", action: "Mend the client or the proxy in front: send exactly one framing." },
  CHUNK_MALFORMED: { status: 400, source: "client", retryable: false, meaning: "The chunked body breaks the grammar of RFC 9112 section 7.1.", action: "Mend the client." },
  HOST_INVALID: { status: 400, source: "client", retryable: false, meaning: "Host is missing, repeated, malformed, or differs from an absolute target.", action: "Send one valid Host." },
  REQUEST_TIMEOUT: { status: 408, source: "client", retryable: true, meaning: "The client took too long to send its head or its body.", action: "Look at limits.headTimeout, bodyTimeout and bodyMinRate; slow clients are cut off on purpose." },
  BODY_TOO_LARGE: { status: 413, source: "client", retryable: false, meaning: "The body is larger than limits.bodySize, or than limits.ruleBodySize where a rule reads it.", action: "Raise the limit, or send less." },
  RATE_LIMITED: { status: 429, source: "client", retryable: true, meaning: "A rate limit of the route (limits, rateLimits) is reached.", action: "Nothing, unless it meets the wrong clients: the log names the limit; shadow: true only counts." },
  TARGET_TOO_LONG: { status: 414, source: "client", retryable: false, meaning: "The request target is longer than limits.targetSize.", action: "Raise limits.targetSize, or shorten the URL." },
  EXPECTATION_FAILED: { status: 417, source: "client", retryable: false, meaning: "Expect holds something other than 100-continue.", action: "Mend the client." },
  HEADERS_TOO_LARGE: { status: 431, source: "client", retryable: false, meaning: "One header line, all headers, or their number is above its limit.", action: "Raise limits.headerLineSize, headerSize or headers, or send less." },
  CLIENT_CLOSED: { status: 0, source: "client", retryable: false, meaning: "The client left before the response was complete.", action: "Nothing, unless it happens often: then look at latency." },
  METHOD_UNSUPPORTED: { status: 501, source: "client", retryable: false, meaning: "CONNECT and TRACE are not served by a reverse proxy.", action: "Use another method." },
  CODING_UNSUPPORTED: { status: 501, source: "client", retryable: false, meaning: "Transfer-Encoding names a coding other than chunked.", action: "Send chunked alone." },
  VERSION_UNSUPPORTED: { status: 505, source: "client", retryable: false, meaning: "The HTTP version is neither 1.0 nor 1.1.", action: "Mend the client." },
  NOT_CACHED: { status: 504, source: "client", retryable: false, meaning: "The client asked for a stored answer only (only-if-cached), and none may be served.", action: "Nothing: the client wanted to know." },
  NO_ROUTE: { status: 404, source: "client", retryable: false, meaning: "No route matches host and path.", action: "Add a route, or one without host and path for everything else." },
  PREVIEW_REFUSED: { status: 403, source: "client", retryable: false, meaning: "The preview header or cookie is forged, has expired, or is signed by other gateways.", action: "Make another one with sluice releases preview ID." },
  PREVIEW_UNKNOWN: { status: 404, source: "client", retryable: false, meaning: "The release that a preview asks for is not in the store, or cannot be loaded here.", action: "The log says why; sluice releases lists what there is." },
  TOO_MANY_CONNECTIONS: { status: 503, source: "gateway", retryable: true, meaning: "limits.connections or limits.connectionsPerClient is reached.", action: "Raise the limit, or find who holds the connections." },
  NO_TARGET: { status: 503, source: "upstream", retryable: true, meaning: "No target of the upstream can take the request: all are down, unresolved or full.", action: "Look at the targets' health." },
  UPSTREAM_UNKNOWN: { status: 500, source: "rule", retryable: false, meaning: "A rule picked an upstream that config does not name.", action: "Name it in upstreams, or mend the rule." },
  UPSTREAM_CONNECT_FAILED: { status: 502, source: "upstream", retryable: true, meaning: "No connection to any target of the upstream could be made.", action: "Is the origin running, and is its address right?" },
  UPSTREAM_CONNECT_TIMEOUT: { status: 504, source: "upstream", retryable: true, meaning: "Connecting to the target took longer than timeouts.connect.", action: "Look at the network, or raise timeouts.connect." },
  UPSTREAM_TIMEOUT: { status: 504, source: "upstream", retryable: true, meaning: "The target sent no response head within timeouts.firstByte.", action: "Look at the origin, or raise timeouts.firstByte." },
  UPSTREAM_IDLE_TIMEOUT: { status: 504, source: "upstream", retryable: true, meaning: "The target stopped sending in the middle of a body for timeouts.idle.", action: "Look at the origin, or raise timeouts.idle." },
  UPSTREAM_RESET: { status: 502, source: "upstream", retryable: true, meaning: "The target closed the connection before its response was complete.", action: "Look at the origin's log." },
  UPSTREAM_MALFORMED: { status: 502, source: "upstream", retryable: false, meaning: "The target's answer is no valid HTTP/1.1, or its length is ambiguous.", action: "Mend the origin; the log names the offending part." },
  UPSTREAM_HEAD_TOO_LARGE: { status: 502, source: "upstream", retryable: false, meaning: "The target's response head is above the header limits.", action: "Raise limits.headerSize or headers, or send less." },
  RULE_THREW: { status: 503, source: "rule", retryable: false, meaning: "A rule threw or rejected.", action: "See the stack in the log; onFailure: \"open\" would carry on without the rule." },
  RULE_CPU: { status: 503, source: "rule", retryable: false, meaning: "A rule used more CPU in one phase than limits.ruleCpu.", action: "Make the rule cheaper, or raise limits.ruleCpu." },
  RULE_WALL: { status: 503, source: "rule", retryable: false, meaning: "A rule took longer over one exchange than limits.ruleWall.", action: "What it awaits is slow, or never settles." },
  RULE_MEMORY: { status: 503, source: "rule", retryable: false, meaning: "A rule broke the memory bound of its isolate or sandbox.", action: "Make the rule hold less, or raise limits.ruleMemory." },
  RULE_CALLS: { status: 503, source: "rule", retryable: false, meaning: "A rule made more service calls in one exchange than its limit.", action: "Call less, or raise limits.ruleFetches." },
  RULE_EFFECT: { status: 503, source: "rule", retryable: false, meaning: "A rule asked for something that cannot be put on the wire, or that its phase does not allow.", action: "The log names the effect and what was expected." },
  RULE_QUARANTINED: { status: 503, source: "rule", retryable: false, meaning: "The rule has ended its sandbox repeatedly and is not run for a while: one minute, longer each time.", action: "Mend the rule and deploy it; a new release lifts the quarantine." },
  SANDBOX_UNAVAILABLE: { status: 503, source: "gateway", retryable: true, meaning: "No sandbox could run the rules.", action: "Look for sandbox restarts in the log." },
  SERVICE_REFUSED: { status: 503, source: "rule", retryable: false, meaning: "A rule called a service that its release or the config does not allow.", action: "Call it by its literal name, and allow the host under fetch." },
  STORE_UNAVAILABLE: { status: 503, source: "store", retryable: true, meaning: "The store (Redis, or the embedded store's process) could not be reached.", action: "Look at the store's state in sluice status; rules and limits say what happens meanwhile." },
  STORE_TIMEOUT: { status: 503, source: "store", retryable: true, meaning: "The store did not answer within store.timeout; what was asked may have been done.", action: "Look at the store's load and the network, or raise store.timeout." },
  STORE_REFUSED: { status: 503, source: "store", retryable: false, meaning: "The store was reached and refused: its version, a missing right, a wrong password, or a script that failed.", action: "The log names what it refused; store in config names who asks." },
  STORE_FULL: { status: 503, source: "store", retryable: true, meaning: "The embedded store's memory for lasting values, or the queue of calls to the store, is full.", action: "Raise store.memory, store less or for a shorter time, or use Redis." },
  KV_TOO_LARGE: { status: 503, source: "rule", retryable: false, meaning: "A rule gave ctx.kv a value above 64 KiB.", action: "Store less, or keep it at an origin." },
  DRAINING: { status: 503, source: "gateway", retryable: true, meaning: "The gateway is shutting down.", action: "Try again; another gateway or worker answers." },
  INTERNAL: { status: 500, source: "gateway", retryable: false, meaning: "A defect in Sluice.", action: "Report it with the log line." },
} as const satisfies Record<string, ErrorRow>;

export type ErrorCode = keyof typeof ERRORS;

/** The only error that crosses a room's door. `detail` says what was found and expected; it goes to the log, never to the client. */
export class GatewayError extends Error {
  readonly code: ErrorCode;
  readonly detail: string;
  constructor(code: ErrorCode, detail: string, options?: { cause?: unknown }) {
    super(`${code}: ${detail}`, options);
    this.name = "GatewayError";
    this.code = code;
    this.detail = detail;
  }
  get status(): number {
    return ERRORS[this.code].status;
  }
}

/** Whatever was thrown, as a `GatewayError`; a stranger becomes `INTERNAL` and keeps its cause. */
export function asGatewayError(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  return new GatewayError("INTERNAL", thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown });
}
