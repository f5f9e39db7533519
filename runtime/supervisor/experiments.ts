/** What connects this gateway to its experiments: a store of the supervisor's own, the watch over guardrails, and the desk of the admin API. */
import type net from "node:net";
import type { Clock } from "../clock.ts";
import type { Release } from "../compile/release.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import type { Audit } from "../control/audit.ts";
import type { ExperimentDesk } from "../control/experiment-endpoints.ts";
import { QA_COOKIE, signQaToken } from "../experiments/assign/assign.ts";
import type { ExperimentData } from "../experiments/experiment-data.ts";
import { signingKeys } from "../experiments/keys/keys.ts";
import { LiveWatch } from "../experiments/live/live.ts";
import { ExperimentWatch } from "../experiments/study/watch.ts";
import { openStore, type Store } from "../store/store.ts";

export interface ExperimentParts {
  readonly clock: Clock;
  readonly log: (level: "info" | "warn" | "error", event: string, facts: Readonly<Record<string, unknown>>) => void;
  readonly audit: Audit | null;
  /** What the store counts this gateway as. */
  readonly gateway: string;
  readonly givePipe: (take: (pipe: net.Socket) => void) => void;
  readonly config: () => ResolvedConfig;
  readonly release: () => Release;
}

interface Open {
  readonly store: Store;
  readonly live: LiveWatch;
  readonly watch: ExperimentWatch;
  readonly storeConfig: string;
}

/** Opened when the first release with experiments serves: most gateways have none. */
export class Experiments {
  readonly #parts: ExperimentParts;
  #opening: Promise<Open> | null = null;
  #open: Open | null = null;
  #closed = false;

  constructor(parts: ExperimentParts) {
    this.#parts = parts;
  }

  /** Null: there was none so far, or the store is about to be opened. */
  get desk(): ExperimentDesk | null {
    const open = this.#open;
    if (open === null) return null;
    const { clock, release } = this.#parts;
    return {
      store: open.store,
      live: open.live,
      experiments: () => experimentsOf(release()),
      leads: () => open.watch.leads,
      unixMs: () => clock.unixMs(),
      mint: async (experiment, variant, untilUnixMs) => {
        const { stateDir, experiments } = this.#parts.config();
        const keys = await signingKeys({ configured: experiments.keys, stateDir, store: open.store, warn: (text) => this.#warn(text) });
        return { parameter: QA_COOKIE, token: signQaToken({ variants: { [experiment]: variant }, expiresAtMs: untilUnixMs }, keys, clock.unixMs()) };
      },
    };
  }

  /** After a release or a config may have changed; called as often as one likes. */
  async follow(): Promise<void> {
    if (this.#closed || (this.#opening === null && experimentsOf(this.#parts.release()).length === 0)) return;
    const stale = this.#open !== null && this.#open.storeConfig !== JSON.stringify(this.#parts.config().store);
    if (stale) await this.#close();
    try {
      await (this.#opening ??= this.#begin());
    } catch (thrown) {
      // Tried again by the next call.
      this.#opening = null;
      this.#warn(`experiments are not looked at: ${(thrown as Error).message}`);
    }
  }

  async #begin(): Promise<Open> {
    const { clock, log, audit, gateway, givePipe, config, release } = this.#parts;
    const storeConfig = config().store;
    const opened = await openStore({
      config: storeConfig,
      clock,
      gateway,
      member: false,
      requestPipe: () => givePipe((pipe) => opened.attach(pipe)),
      warn: (text) => log("warn", "store", { text }),
    });
    const live = new LiveWatch({ store: opened.store, clock, onChange: () => undefined, warn: (text) => this.#warn(text) });
    const watch = new ExperimentWatch({
      store: opened.store,
      live,
      clock,
      name: gateway,
      experiments: () => experimentsOf(release()),
      onStopped: (experiment, version, reason, facts) => {
        log("error", "experiment-stopped", { experiment, version, reason, ...facts });
        audit?.note({ actor: "guardrail", action: `stop experiment ${experiment}`, outcome: "done", reason, facts: { version, ...facts } });
      },
      onMismatch: (experiment, version, reason) => log("error", "experiment-mismatch", { experiment, version, reason }),
      warn: (text) => this.#warn(text),
    });
    return (this.#open = { store: opened.store, live, watch, storeConfig: JSON.stringify(storeConfig) });
  }

  #warn(text: string): void {
    this.#parts.log("warn", "experiments", { text });
  }

  async #close(): Promise<void> {
    const open = await this.#opening;
    this.#opening = null;
    this.#open = null;
    open?.watch.close();
    open?.live.close();
    await open?.store.close();
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#close();
  }
}

const known = new WeakMap<Release, readonly ExperimentData[]>();

function experimentsOf(release: Release): readonly ExperimentData[] {
  let found = known.get(release);
  if (found === undefined) known.set(release, (found = release.rules.flatMap(({ manifest }) => manifest.experiment ?? [])));
  return found;
}
