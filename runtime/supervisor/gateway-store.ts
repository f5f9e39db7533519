/** The store's life in one gateway: the embedded store's process while config asks for one, and whether Redis can be used where config names it. */
import type net from "node:net";
import path from "node:path";
import type { Clock } from "../clock.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import { openStore } from "../store/store.ts";
import { StartError } from "./start-error.ts";
import { StoreProcess, type StoreProcessOptions, type StoreProcessStatus } from "./store-process.ts";

/** How long a start waits for the embedded store. */
const EMBEDDED_READY_MS = 5_000;
/** … and for Redis to say whether it can be used. */
const REDIS_READY_MS = 3_000;

export interface GatewayStoreParts {
  readonly clock: Clock;
  readonly random: () => number;
  /** What the store counts this gateway as. */
  readonly gateway: string;
  readonly log: StoreProcessOptions["onEvent"];
}

export class GatewayStore {
  readonly #parts: GatewayStoreParts;
  /** Null: Redis is the store. */
  #process: StoreProcess | null = null;

  constructor(parts: GatewayStoreParts) {
    this.#parts = parts;
  }

  /** Null: Redis is the store. */
  get status(): StoreProcessStatus | null {
    return this.#process?.status ?? null;
  }

  /** A worker that asks while Redis is the store is one of the last config, and about to end. */
  givePipe(take: (pipe: net.Socket) => void): void {
    this.#process?.givePipe(take);
  }

  /** Starts the embedded store that `config` asks for, unless it runs already. */
  async use({ stateDir, store }: ResolvedConfig): Promise<void> {
    const wanted = store.redis === null ? { dir: stateDir === "" ? "" : path.join(stateDir, "store"), limitBytes: store.memoryBytes } : null;
    if (wanted === null ? this.#process === null : this.#process?.serves(wanted)) return;
    // One after the other: both would write the same log.
    const last = this.#process;
    this.#process = null;
    await last?.stop();
    if (wanted === null) return;
    const { clock, random, log } = this.#parts;
    this.#process = new StoreProcess({ ...wanted, clock, random, onEvent: log });
  }

  /** One that refuses is a mistake in the config, told at the start; one that is away is not: this gateway may be what starts again while Redis does. */
  async checkRedis({ store: config }: ResolvedConfig): Promise<void> {
    if (config.redis === null) return;
    const { clock, gateway, log } = this.#parts;
    const { store } = await openStore({ config, clock, gateway, member: false, requestPipe: () => undefined, warn: () => undefined });
    try {
      await new Promise<void>((resolve) => {
        store.onHealth(() => resolve());
        clock.after(REDIS_READY_MS, resolve);
      });
      const { state, reason } = store.health();
      if (state === "refused") throw new StartError([`store.redis: Redis refuses: ${reason}`]);
      if (state !== "ready") log("warn", "store-unavailable", { reason: reason || "no answer yet" });
    } finally {
      await store.close();
    }
  }

  /** Workers serve without it too, as their rules and limits say: its trouble is told, and no reason not to start. */
  async ready(): Promise<void> {
    const store = this.#process;
    if (store === null) return;
    const late = new Promise<void>((resolve) => void this.#parts.clock.after(EMBEDDED_READY_MS, resolve));
    await Promise.race([store.settled, late]);
  }

  async stop(): Promise<void> {
    await this.#process?.stop();
  }

  kill(): void {
    this.#process?.kill();
  }
}
