/** ioredis as this room uses it: how connections are made in each of the three shapes, and what its errors mean here. */
import { Cluster, Redis, type RedisOptions } from "ioredis";
import type { RedisConfig } from "../../config/resolved.ts";
import { GatewayError } from "../../errors.ts";

export type Client = Redis | Cluster;

export interface ConnectOptions {
  readonly config: RedisConfig;
  readonly random: () => number;
}

const CONNECT_TIMEOUT_MS = 2000;
const RETRY_FIRST_MS = 50;
const RETRY_MOST_MS = 2000;

export function connect({ config, random }: ConnectOptions): Client {
  /** Half of it is jitter, so that gateways do not come back in step. */
  const retryMs = (times: number): number => {
    const fullMs = Math.min(RETRY_MOST_MS, RETRY_FIRST_MS * 2 ** Math.min(times, 10));
    return fullMs / 2 + (fullMs / 2) * random();
  };
  const tls = config.tls === null ? undefined : tlsOf(config.tls);
  const common: RedisOptions = {
    ...(config.username === "" ? {} : { username: config.username }),
    ...(config.password === "" ? {} : { password: config.password }),
    ...(tls === undefined ? {} : { tls }),
    // The older protocol knows all that is needed here, and a server too old for the newer one can be told so.
    protocol: 2,
    // CLIENT SETINFO and the like are rights that the store has no need of.
    disableClientInfo: true,
    connectTimeout: CONNECT_TIMEOUT_MS,
    // Whoever calls waits no longer than the store's time-out, and decides itself what then: nothing is sent late.
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    // After a failover the old master answers READONLY.
    reconnectOnError: (error) => error.message.startsWith("READONLY"),
  };
  if (config.mode === "cluster")
    return new Cluster([...config.nodes], {
      redisOptions: common,
      enableOfflineQueue: false,
      clusterRetryStrategy: retryMs,
      clusterNodeRetryStrategy: retryMs,
      slotsRefreshTimeout: CONNECT_TIMEOUT_MS,
      // Certificates are for names: addresses are left as the cluster tells them.
      ...(tls === undefined ? {} : { dnsLookup: (address: string, done: (error: null, address: string) => void) => done(null, address) }),
    });
  const single: RedisOptions = { ...common, db: config.db, enableOfflineQueue: false, retryStrategy: retryMs };
  if (config.mode === "standalone") return new Redis({ ...single, ...config.nodes[0]! });
  const { name, username, password } = config.sentinel!;
  return new Redis({
    ...single,
    name,
    sentinels: [...config.nodes],
    ...(username === "" ? {} : { sentinelUsername: username }),
    ...(password === "" ? {} : { sentinelPassword: password }),
    ...(tls === undefined ? {} : { sentinelTLS: tls, enableTLSForSentinelMode: true }),
    sentinelRetryStrategy: retryMs,
    sentinelCommandTimeout: CONNECT_TIMEOUT_MS,
    failoverDetector: true,
  });
}

/**
 * Holds back what is written in this event-loop turn and sends it as one. ioredis' own pipelining does it too, but each batch waits for
 * the answers of the last, and a call costs 10.5 µs instead of 5 (20 calls a turn).
 */
export class Batches {
  readonly #client: Client;
  #held: readonly Redis[] | null = null;

  constructor(client: Client) {
    this.#client = client;
  }

  /** Before a command is sent. */
  join(): void {
    if (this.#held !== null) return;
    const held = this.#client instanceof Cluster ? this.#client.nodes() : [this.#client];
    this.#held = held.filter(({ status }) => status === "ready");
    const streams = this.#held.map(({ stream }) => stream);
    for (const stream of streams) stream.cork();
    setImmediate(() => {
      this.#held = null;
      for (const stream of streams) stream.uncork();
    });
  }
}

function tlsOf({ ca, cert, key, servername }: NonNullable<RedisConfig["tls"]>) {
  return { ...(ca === "" ? {} : { ca }), ...(cert === "" ? {} : { cert, key }), ...(servername === "" ? {} : { servername }) };
}

const REFUSED = /^(NOAUTH|WRONGPASS|NOPERM|ERR AUTH|ERR invalid password|ERR unknown command|ERR.*Unknown Redis command|ERR.*can't run this command)/i;
const AWAY = /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|TRYAGAIN|BUSY |MISCONF|NOREPLICAS|UNBLOCKED)/;

/** Redis refused for good: another version, a missing right, a wrong password. */
export function isRefusal(thrown: unknown): boolean {
  if (thrown instanceof GatewayError) return thrown.code === "STORE_REFUSED";
  return thrown instanceof Error && (REFUSED.test(thrown.message) || /NOPERM|Unknown Redis command/.test(thrown.message));
}

/** Redis said it, whatever it says. */
export function isAnswer(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.name === "ReplyError";
}

export function isMissingScript(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.message.startsWith("NOSCRIPT");
}

export function failureOf(thrown: unknown): GatewayError {
  if (thrown instanceof GatewayError) return thrown;
  const error = thrown instanceof Error ? thrown : new Error(String(thrown));
  const text = error.message.split("\n")[0]!.slice(0, 300);
  if (isRefusal(error)) return new GatewayError("STORE_REFUSED", text, { cause: error });
  if (text.startsWith("OOM ")) return new GatewayError("STORE_FULL", text, { cause: error });
  // A reply that is an error, and not of the server's state: the script's own.
  if (error.name === "ReplyError" && !AWAY.test(text)) return new GatewayError("STORE_REFUSED", text, { cause: error });
  return new GatewayError("STORE_UNAVAILABLE", text, { cause: error });
}
