/** One target of an upstream: its address, its idle connections, its counts. */
import { isIP } from "node:net";
import type { LookupFunction } from "node:net";
import type { TargetConfig } from "../config/resolved.ts";
import type { Balanced } from "./balance.ts";
import type { Connection } from "./connection.ts";
import type { Names } from "./names.ts";
import type { IdleStack } from "./pool.ts";

export class Target implements Balanced {
  readonly url: string;
  readonly scheme: "http" | "https";
  /** Without the brackets of an IPv6 address. */
  readonly host: string;
  readonly port: number;
  readonly weight: number;
  readonly idle: IdleStack<Connection>;
  /** Null for an address. */
  readonly lookup: LookupFunction | null;
  resolved: boolean;
  /** Connections that are not idle. */
  active = 0;
  requests = 0;
  connects = 0;
  connectFailures = 0;
  readonly #onResolved: (target: Target, error: Error | null) => void;

  constructor(config: TargetConfig, names: Names, idle: IdleStack<Connection>, onResolved: (target: Target, error: Error | null) => void) {
    this.url = config.url;
    this.scheme = config.scheme;
    this.host = config.host.replace(/^\[(.*)\]$/, "$1");
    this.port = config.port;
    this.weight = config.weight;
    this.idle = idle;
    this.#onResolved = onResolved;
    const named = isIP(this.host) === 0;
    this.resolved = true;
    this.lookup = named ? names.lookupFor((error) => this.#learn(error)) : null;
    if (named) names.resolve(this.host, (error) => this.#learn(error));
  }

  /** Tells about changes only: a name that stays dead is worth one warning. */
  #learn(error: Error | null): void {
    const resolved = error === null;
    if (resolved === this.resolved) return;
    this.resolved = resolved;
    this.#onResolved(this, error);
  }
}
