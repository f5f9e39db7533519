/** The upstreams of a config at work: each with its targets, balancer and connections. */
import { type Clock } from "../clock.ts";
import type { UpstreamConfig } from "../config/resolved.ts";
import { GatewayError } from "../errors.ts";
import type { UpstreamRequest, UpstreamResponse } from "../proxy/exchange.ts";
import { type Balancer, smoothWeightedRoundRobin } from "./balance.ts";
import { Call } from "./call.ts";
import { Connection, type ConnectionOwner } from "./connection.ts";
import { Names, type ResolveName } from "./names.ts";
import { Pool } from "./pool.ts";
import type { HeadLimits } from "./response-reader.ts";
import { Target } from "./target.ts";
import type { CancelHolder, TargetEvent, TargetStatus, Upstreams } from "./upstreams.ts";

export interface UpstreamsOptions {
  readonly upstreams: Readonly<Record<string, UpstreamConfig>>;
  /** Limits of response heads. */
  readonly wire: HeadLimits;
  readonly clock: Clock;
  /** One line for the operator. */
  readonly warn: (text: string) => void;
  readonly onTargetEvent?: (event: TargetEvent) => void;
  /** PEM certificates to believe instead of the system's; for origins with a private CA. */
  readonly certificateAuthorities?: readonly string[];
  /** Instead of the system's resolver. */
  readonly resolveName?: ResolveName;
}

export function createUpstreams(options: UpstreamsOptions): Upstreams {
  const names = new Names(options.clock, options.resolveName);
  const groups = new Map<string, Group>();
  for (const [name, config] of Object.entries(options.upstreams)) groups.set(name, new Group(name, config, names, options));

  return {
    send(upstream, request, cancel) {
      const group = groups.get(upstream);
      if (group) return group.send(request, cancel);
      return Promise.reject(new GatewayError("UPSTREAM_UNKNOWN", `found "${upstream}", expected one of ${[...groups.keys()].join(", ")}`));
    },
    has: (upstream) => groups.has(upstream),
    status: () => [...groups.values()].flatMap((group) => group.status()),
    close() {
      for (const group of groups.values()) group.close();
    },
  };
}

export class Group implements ConnectionOwner {
  readonly config: UpstreamConfig;
  readonly clock: Clock;
  readonly limits: HeadLimits;
  readonly certificateAuthorities: readonly string[] | null;
  readonly balancer: Balancer<Target>;
  readonly pool: Pool<Connection>;
  readonly #name: string;
  readonly #targets: readonly Target[];
  readonly #warn: (text: string) => void;
  readonly #onTargetEvent: ((event: TargetEvent) => void) | undefined;
  #closed = false;

  constructor(name: string, config: UpstreamConfig, names: Names, options: UpstreamsOptions) {
    this.config = config;
    this.clock = options.clock;
    this.limits = options.wire;
    this.certificateAuthorities = options.certificateAuthorities ?? null;
    this.pool = new Pool(config.maxConnections);
    this.#name = name;
    this.#warn = options.warn;
    this.#onTargetEvent = options.onTargetEvent;
    this.#targets = config.targets.map((target) => new Target(target, names, this.pool.newStack(), (changed, error) => this.#nameChanged(changed, error)));
    this.balancer = smoothWeightedRoundRobin(this.#targets);
  }

  send(request: UpstreamRequest, cancel: CancelHolder | null): Promise<UpstreamResponse> {
    let pinned: Target | null = null;
    if (request.pinnedTarget !== "") {
      pinned = this.#targets.find((target) => target.url === request.pinnedTarget) ?? null;
      if (pinned === null)
        return Promise.reject(
          new GatewayError(
            "UPSTREAM_UNKNOWN",
            `upstream "${this.#name}" has no target ${request.pinnedTarget}, expected one of ${this.#targets.map((target) => target.url).join(", ")}`,
          ),
        );
    }
    return new Promise((resolve, reject) => new Call(this, request, pinned, cancel, resolve, reject).start());
  }

  open(target: Target, call: Call): Connection {
    return new Connection(this, target, call);
  }

  tell(kind: TargetEvent["kind"], target: Target, detail: string): void {
    this.#onTargetEvent?.({ kind, upstream: this.#name, target: target.url, detail });
  }

  status(): TargetStatus[] {
    return this.#targets.map((target) => ({
      upstream: this.#name,
      target: target.url,
      active: target.active,
      idle: target.idle.length,
      requests: target.requests,
      connects: target.connects,
      connectFailures: target.connectFailures,
      resolved: target.resolved,
    }));
  }

  close(): void {
    this.#closed = true;
    this.pool.closeIdle();
  }

  // What connections report.

  release(connection: Connection): void {
    connection.target.active--;
    this.pool.put(connection.target.idle, connection);
    if (this.#closed) connection.destroy();
  }

  forget(connection: Connection, wasIdle: boolean): void {
    if (!wasIdle) connection.target.active--;
    this.pool.forget(connection.target.idle, connection);
  }

  #nameChanged(target: Target, error: Error | null): void {
    if (error) this.#warn(`upstream "${this.#name}": the name in ${target.url} does not resolve (${error.message}); the target is down until it does`);
    else this.#warn(`upstream "${this.#name}": the name in ${target.url} resolves again`);
    this.tell(error ? "name-unresolved" : "name-resolved", target, error ? error.message : "");
  }
}
