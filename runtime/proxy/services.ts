/** What a rule's `await` reaches: each service checks its arguments as a stranger's and calls one room. Bytes cross as Latin-1 strings. */
import { z } from "zod";
import type { Cache } from "../cache/cache.ts";
import type { Clock } from "../clock.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import { GatewayError } from "../errors.ts";
import { LimitCall, type Limiter, RuleLimits } from "../ratelimit/ratelimit.ts";
import type { ServiceName } from "../sandbox/protocol.ts";
import type { Service, ServiceCall } from "../sandbox/sandbox.ts";
import { forwardAuth, ForwardCall } from "../security/auth/forward.ts";
import { verifyHmac, HmacCall } from "../security/auth/hmac.ts";
import { JwtCall, JwtVerifier } from "../security/auth/jwt.ts";
import { KvCall, kvCall } from "../store/kv/kv.ts";
import type { Store } from "../store/store.ts";
import { Egress, type Outgoing } from "../security/egress.ts";
import { CacheCall, cacheCall } from "./cache-calls.ts";
import type { VerifyToken } from "./experiments/seat.ts";
import { isFieldValue, isToken } from "./fields.ts";

export interface Services {
  readonly table: Readonly<Record<string, Service>>;
  /** Claims of a genuine token, for units of experiments. */
  readonly verifyToken: VerifyToken;
  close(): void;
}

/** Of an answer to `ctx.fetch`. The rule's own memory and crossing bounds come on top. */
const FETCH_MAX_BODY_BYTES = 8 * 1024 * 1024;

const headerList = z.array(z.tuple([z.string().refine(isToken, "no header name"), z.string().refine(isFieldValue, "no header value")])).max(200);
const TimerCall = z.strictObject({ ms: z.number().min(0) });
const FetchCall = z.strictObject({
  url: z.string().max(8192),
  method: z.string().refine(isToken, "no method"),
  headers: headerList,
  body: z.string().nullable(),
  redirect: z.enum(["follow", "manual", "error"]),
});

/** The guarded way out that config describes. */
export function createEgress(config: ResolvedConfig): Outgoing {
  const targets = Object.values(config.upstreams).flatMap((upstream) => upstream.targets.map((target) => target.url));
  const redis = (config.store.redis?.nodes ?? []).map(({ host, port }) => ({ host: host === "localhost" ? "" : host, port }));
  const own = [...config.listeners, ...(config.admin === null ? [] : [config.admin]), ...redis];
  return new Egress({
    allow: config.fetch.allow,
    private: [...config.fetch.private, ...targets],
    own,
    maxBodyBytes: FETCH_MAX_BODY_BYTES,
    timeoutMs: config.limits.ruleWallMs,
  });
}

export function createServices(config: ResolvedConfig, clock: Clock, limiter: Limiter, egress: Outgoing, store: Store, cache: () => Cache | null): Services {
  const { ruleWallMs } = config.limits;
  const jwt = new JwtVerifier(egress, clock);
  const limits = new RuleLimits(limiter);

  const table: Record<ServiceName, Service> = {
    requestBody: async ({ exchange }) => ({ bytes: (await exchange.readRequestBody()).toString("latin1") }),
    responseBody: async ({ exchange }) => ({ bytes: (await exchange.readResponseBody()).toString("latin1") }),
    timer: (call) => {
      const { ms } = checked(TimerCall, call, "setTimeout");
      return new Promise((resolve) => {
        const timer = clock.after(Math.min(ms, ruleWallMs), () => resolve({}));
        call.signal.addEventListener("abort", () => timer.cancel(), { once: true });
      });
    },
    fetch: async (call) => {
      const { body, ...request } = checked(FetchCall, call, "fetch");
      const answer = await egress.fetch(
        { ...request, body: body === null ? null : Buffer.from(body, "latin1"), idempotencyId: call.idempotencyId },
        call.signal,
      );
      return { ...answer, body: answer.body.toString("latin1") };
    },
    jwt: (call) => jwt.verify(checked(JwtCall, call, "auth.jwt")),
    hmac: async (call) =>
      verifyHmac(
        checked(HmacCall, call, "auth.hmac"),
        { ...call.exchange.received, scheme: call.request.scheme, fields: call.request.fields },
        () => call.exchange.readRequestBody(),
        clock.unixMs(),
      ),
    cache: (call) => cacheCall(cache(), checked(CacheCall, call, "cache"), call.exchange.cachePartition ?? ""),
    kv: (call) => kvCall(store, checked(KvCall, call, "kv"), call.idempotencyId),
    limit: (call) => limits.charge(checked(LimitCall, call, "limit"), (run) => call.exchange.whenOver(run)),
    forward: (call) =>
      forwardAuth(checked(ForwardCall, call, "auth.forward"), { ...call.request, clientAddress: call.exchange.client?.address ?? "" }, egress, call.signal),
  };
  const verifyToken: VerifyToken = async (call) => {
    const result = await jwt.verify(call);
    return "claims" in result ? result.claims : null;
  };
  return { table, verifyToken, close: () => egress.close() };
}

function checked<T>(schema: z.ZodType<T>, call: ServiceCall, name: string): T {
  const result = schema.safeParse(call.args);
  if (result.success) return result.data;
  const issue = result.error.issues[0]!;
  throw new GatewayError("SERVICE_REFUSED", `${name}: ${issue.path.join(".") || "arguments"}: ${issue.message}`);
}
