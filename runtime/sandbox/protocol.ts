/**
 * What worker and sandbox process say to each other over one duplex pipe (descriptor 3 of the process).
 *
 * A frame is `u32 little-endian payload length | u8 encoding (0 Latin-1, 1 UTF-16LE) | payload`. The payload is a text of
 * records, each a kind (num) followed by the fields listed here, written with `codec.ts`. In each event-loop turn each side
 * sends at most one frame with everything that turn produced. A frame above MAX_FRAME_BYTES ends the connection.
 *
 * The process is not trusted: whatever it says is checked by the worker (`effects.ts`), as if a stranger had said it.
 */
export const MAX_FRAME_BYTES = 64 * 1024 * 1024;
/** A body or an answer. Apart from `limits.crossingSize`, which is about values (PRODUCT.md: "bodies apart"). */
export const MAX_BODY_UNITS = 16 * 1024 * 1024;

/** Worker → process. */
export const ToSandbox = {
  /** release num, json str (LoadMessage). Makes an isolate with its contexts and evaluates every rule. Answer: LOADED. */
  LOAD: 1,
  /** release num. Disposes the isolate; hooks still running in it are gone (the worker waits for them first). */
  UNLOAD: 2,
  /**
   * call num, release num, context num, cpuMs num (CPU bound per rule and phase), str of: phase num (index in PHASES), clockMs num, seed str (32 hex digits),
   * request str (HEAD text), response str (RESPONSE text or ""), extra str (JSON: `HookExtra`),
   * n num, then n × (rule num, params str (JSON or ""), state str (JSON or "")).
   * Whoever only hands it on passes over all of that with one length.
   * Runs the phase's hook of these rules in the order given, each seeing the effects of those before. Stops at the first answer or failure.
   * All rules of one HOOK stand in one context.
   */
  HOOK: 3,
  /** call num, callNo num, ok num (1: value is the JSON result; 0: value is JSON `{message}` to reject with), value str. Answers a CALL. */
  REPLY: 4,
  /** call num. The client is gone or the deadline passed: forget the hook, no DONE is expected. */
  CANCEL: 5,
  /** n num. Answered by PONG n once everything sent before it has been worked through: tells a busy process from one whose hooks merely wait. */
  PING: 6,
} as const;

/** Process → worker. */
export const FromSandbox = {
  /** release num, ok num, json str: `{ error?: LoadError }`. */
  LOADED: 1,
  /** call num, callNo num (1, 2, … within the hook call; the same on a re-run), rule num, service str, args str (JSON). */
  CALL: 2,
  /**
   * call num, tail num (1: `waitUntil` work goes on, TAIL follows; 2: element callbacks do, too, and it is LOST with its isolate as if it were not done), outcome num (0 next, 1 answer, 2 failure), by num (number of the rule that answered or failed, else 0),
   * failure str (JSON `RuleFailure`, or ""), cpu: n num, n × (rule num, microseconds num), effects str (EFFECTS text, in order, each with its rule).
   * For a failure the effects are those of the rules before it, plus the failing rule's own logs.
   */
  DONE: 3,
  /** call num, effects str (logs and metrics only), cpu as in DONE. The `waitUntil` work of that call has settled. */
  TAIL: 4,
  /** release num, rule num (or 999999), json str (RuleFailure). Something failed outside any hook (a rejection that nobody awaited). */
  STRAY: 5,
  /** release num, reason str. The isolate of that release had to be disposed (memory, time-out); hooks running in it get no DONE: the process answers LOST for each. The isolate is made anew by itself, and LOADED follows. */
  ISOLATE_LOST: 6,
  /** call num, guilt num (`Guilt`), failure str (JSON RuleFailure when the guilt is certain, else ""). */
  LOST: 7,
  /** n num, as in PING. */
  PONG: 8,
} as const;

/** Of a hook in the loss of its isolate. */
export const Guilt = {
  NONE: 0,
  /** Its own CPU overrun caused it: it must not run again. */
  CERTAIN: 1,
  /** It ran when time was up but had not used its CPU, or was one of several that may have run: it is to run again alone. */
  SUSPECT: 2,
} as const;
export type Guilt = (typeof Guilt)[keyof typeof Guilt];

/** The context that rules share. */
export const SHARED_CONTEXT = 0;

export interface LoadMessage {
  readonly release: string;
  readonly kernel: string;
  readonly memoryBytes: number;
  readonly crossingBytes: number;
  /** Rules' reads of personal input are told (effect READS). Left out: nobody wants to know. */
  readonly tellsReads?: boolean;
  readonly vars: Readonly<Record<string, unknown>>;
  /** What clocks show while modules are evaluated: the same in every sandbox and for ever, so that a release that loaded once loads again. */
  readonly nowMs: number;
  /** True: to learn what the modules are. What makes one need a context of its own is told; without this it is refused. */
  readonly describes?: boolean;
  readonly rules: readonly LoadRule[];
}
export interface LoadRule {
  readonly name: string;
  readonly code: string;
  /** 0: the context that rules share; those with secrets, or whose modules add globals, have one of their own. */
  readonly context: number;
  /** Only those that the rule declares. */
  readonly secrets: Readonly<Record<string, string>>;
  /** What `manifest.services` allows. */
  readonly services: readonly string[];
  /** What its hooks ask for is told (effect ASKED), so that what they decide can be remembered. Left out: false. */
  readonly stateless?: boolean;
}

export interface LoadError {
  readonly rule: string;
  readonly message: string;
  readonly stack: string;
}

/** Stack lines name only `rule name:line:column` of the bundle (mapped by the worker to TypeScript), never a path of the host. */
export interface RuleFailure {
  readonly kind: "threw" | "cpu" | "wall" | "memory" | "calls" | "effect" | "refused" | "body" | "lost";
  readonly message: string;
  readonly stack: string;
  /** For LOST: number of the rule at fault, when the process knows it and the hook ran several. */
  readonly rule?: number;
}

/** What a hook sees beside the heads. */
export interface HookExtra {
  /** `ctx.client`. */
  readonly client?: {
    readonly address: string;
    readonly port: number;
    readonly scheme: "http" | "https";
    readonly httpVersion: string;
    readonly country: string;
  };
  readonly requestId?: string;
  /** Name of the upstream chosen so far. */
  readonly upstream?: string;
  /** Experiment → variant, whether it is control, whether it counts. Only where a rule of the run may ask. */
  readonly experiments?: Readonly<Record<string, readonly [variant: string, isControl: boolean, isCounted: boolean]>>;
  /** For response phases. */
  readonly from?: "upstream" | "cache" | "rule" | "gateway";
  /** For `onError`. */
  readonly error?: { readonly code: string; readonly status: number; readonly message: string };
  /** For `onComplete`. */
  readonly complete?: { readonly status: number; readonly durationMs: number; readonly sentBytes: number; readonly completed: boolean };
}

/** How an extra ends when the lines that make changes shall be told (effect PLACE). Behind everything else, so that nothing has to be parsed to see it. */
export const TRACED_EXTRA = ',"trace":true}';

/**
 * HEAD text: `method SP scheme SP authority SP target LF`, then `name:value LF` for each field. RESPONSE text: `status LF`, then fields alike.
 * Safe with LF because `Fields` holds none (its invariant).
 *
 * EFFECTS text: records of kind num, rule num, then:
 */
export const Effect = {
  /** token str */
  METHOD: 1,
  /** origin-form target str */
  TARGET: 2,
  /** name str, value str: request field while in a request phase, response field in a response phase. Likewise the next two. */
  SET_FIELD: 3,
  APPEND_FIELD: 4,
  /** name str */
  DELETE_FIELD: 5,
  /** name str: serve from this upstream; routes are not asked again. */
  UPSTREAM: 6,
  /** url str: this target of the upstream (onOriginRequest). */
  PIN_TARGET: 7,
  /** status num (response phases) */
  STATUS: 8,
  /** bytes str (Latin-1, one unit a byte): replaces the body of the message that the phase is about. */
  BODY: 9,
  /** status num, n num, n × (name str, value str), bytes str: the rule's own answer. Always the last effect of its rule. */
  RESPOND: 10,
  /** level str (debug, info, warn, error), text str */
  LOG: 11,
  /** name str, value as str (decimal), labels str (JSON) */
  METRIC: 12,
  /** json str: `ctx.state` of this rule after the hook. */
  STATE: 13,
  /** json str (CacheKeyWord of cache-words.ts): `req.cacheKey()` (onRequest) */
  CACHE_KEY: 14,
  /** json str (CacheDecisionWord): `res.cache()` (onOriginResponse) */
  CACHE: 15,
  /** words str, a LF between them: personal input that the rule read in a phase before the cache stores (`cache/privacy.ts`). Only where LoadMessage asks for it. */
  READS: 16,
  /** reads str (`kernel/reads.ts`), a LF between them: everything that all rules of the hook call asked of their input, in order. The last effect, of a hook call whose rules are all `stateless`. */
  ASKED: 17,
  /** stack str: where the next effect was asked for. Only where the extra ends with TRACED_EXTRA. */
  PLACE: 18,
  /** json str (PageEdit of experiments/edits): one edit of the page that is delivered, or a callback for its elements (onResponse). */
  HTML: 19,
  /** key str: an experiment whose variant the rule asked for: an exposure, once the answer is delivered. */
  EXPERIMENT: 20,
  /** goal str, value str (decimal, or ""): `ctx.track`. */
  TRACK: 21,
} as const;

/**
 * Services answered by the worker. Their names in CALL; arguments and results are JSON, bytes as Latin-1 strings. One more, "elements", is asked by the kernel itself:
 * `kernel/element-calls.ts`, `element-port.ts`.
 */
export type ServiceName =
  | "requestBody" // {} → { bytes }
  | "responseBody" // {} → { bytes }
  | "timer" // { ms } → {}
  | "fetch" // FetchArgs → FetchResult
  | "jwt" // see security/auth
  | "hmac"
  | "forward"
  | "cache" // CacheCall of proxy/cache-calls.ts
  | "kv" // KvCall → KvReply of store/kv/kv.ts
  | "limit"; // LimitCall → RuleLimitReply of ratelimit/rule-limits.ts
