/** The active sandbox and its warm spare: both hold every release, so that a swap is one assignment. */
import type { Clock } from "../clock.ts";
import { asGatewayError, GatewayError } from "../errors.ts";
import type { HeldRelease } from "./held-release.ts";
import type { Death, SandboxProcess } from "./sandbox-process.ts";
import type { SandboxEvents } from "./sandbox.ts";

/** Processes in a row that died before they were ready, before starts are delayed. A crash at work never delays: the spare must be warm again at once. */
const FRUITLESS_STARTS = 3;
const BACKOFF_FIRST_MS = 100;
const BACKOFF_LAST_MS = 10_000;
/** How long a load waits for the sandboxes to be there. */
const READY_TIMEOUT_MS = 15_000;
/** Each is an isolate in two processes. More than a few at once means that exchanges on old releases do not end. */
const MAX_RELEASES = 32;

export interface PairOptions {
  readonly clock: Clock;
  readonly events: SandboxEvents;
  /** Spawns one; its death is told to `died`. */
  spawn(isolates: number): SandboxProcess;
  /** A sandbox became ready, or another became active. */
  changed(): void;
}

export class Pair {
  active: SandboxProcess | null = null;
  /** Ready to take over. */
  spare: SandboxProcess | null = null;
  restarts = 0;
  readonly #options: PairOptions;
  readonly #releases: HeldRelease[] = [];
  readonly #starting = new Set<SandboxProcess>();
  #fruitless = 0;
  #backingOff = false;
  #closed = false;
  #loads: Promise<unknown> = Promise.resolve();
  #waiters: { readonly ready: () => boolean; resolve(): void; reject(error: GatewayError): void }[] = [];
  #lastReason = "it did not start";

  constructor(options: PairOptions) {
    this.#options = options;
  }

  /** All processes, also those that are not ready yet. */
  *processes(): IterableIterator<SandboxProcess> {
    if (this.active !== null) yield this.active;
    if (this.spare !== null) yield this.spare;
    yield* this.#starting;
  }

  /** Starts both; resolves when the first is ready. */
  async open(): Promise<void> {
    this.#fill();
    await this.#until(() => this.active !== null);
  }

  /** One load at a time: on the spare first, where a module that loops or crashes hurts nobody. */
  load(release: HeldRelease): Promise<void> {
    const load = this.#loads.then(() => this.#load(release));
    // The next one waits for this one and does not care how it went.
    this.#loads = load.catch(() => undefined);
    return load;
  }

  unload(release: HeldRelease): void {
    const index = this.#releases.indexOf(release);
    if (index < 0) return;
    this.#releases.splice(index, 1);
    for (const process of this.processes()) process.unload(release);
  }

  /** The process is out; the spare takes its place, and a new one is started. */
  died(process: SandboxProcess, death: Death): void {
    const { events } = this.#options;
    const wasStarting = this.#starting.delete(process);
    if (this.#closed) return;
    this.#lastReason = death.reason;
    this.#fruitless = wasStarting ? this.#fruitless + 1 : 0;
    this.restarts++;
    events.sandbox({ event: wasStarting ? "start-failed" : "lost", by: death.by, reason: death.reason, rule: "", pid: process.pid });
    if (process === this.spare) this.spare = null;
    if (process === this.active) this.#promote();
    this.#fill();
    if (wasStarting && this.#fruitless >= FRUITLESS_STARTS) this.#failWaiters();
  }

  close(): void {
    this.#closed = true;
    for (const process of [...this.processes()]) process.kill("closing", "the gateway is closing");
    this.active = this.spare = null;
    this.#failWaiters();
  }

  #promote(): void {
    this.active = this.spare;
    this.spare = null;
    if (this.active !== null) this.#options.events.sandbox({ event: "swapped", by: "", reason: "the spare took over", rule: "", pid: this.active.pid });
  }

  #fill(): void {
    if (this.#closed || this.#backingOff) return;
    const missing = 2 - Number(this.active !== null) - Number(this.spare !== null) - this.#starting.size;
    if (missing <= 0) return;
    if (this.#fruitless >= FRUITLESS_STARTS) {
      this.#backingOff = true;
      const delayMs = Math.min(BACKOFF_FIRST_MS * 2 ** (this.#fruitless - FRUITLESS_STARTS), BACKOFF_LAST_MS);
      this.#options.clock.after(delayMs, () => {
        this.#backingOff = false;
        this.#startOne();
      });
      return;
    }
    for (let i = 0; i < missing; i++) this.#startOne();
  }

  #startOne(): void {
    if (this.#closed) return;
    try {
      const process = this.#options.spawn(this.#releases.length);
      this.#starting.add(process);
      this.#bring(process).catch((thrown: unknown) => process.kill("protocol", asGatewayError(thrown).detail));
    } catch (thrown) {
      const error = asGatewayError(thrown);
      this.#lastReason = error.detail;
      this.#fruitless++;
      this.#options.events.sandbox({ event: "start-failed", by: "itself", reason: error.detail, rule: "", pid: 0 });
      // Nothing was started that could die and call again.
      this.#fruitless = Math.max(this.#fruitless, FRUITLESS_STARTS);
      this.#failWaiters();
      this.#fill();
    }
  }

  async #bring(process: SandboxProcess): Promise<void> {
    await process.start();
    for (let missing = this.#missingIn(process); missing !== undefined; missing = this.#missingIn(process)) await process.load(missing);
    if (!this.#starting.delete(process) || process.death !== null) return;
    // Given up while it was loading here.
    for (const release of process.releases) if (!this.#releases.includes(release)) process.unload(release);
    process.ready();
    if (this.active === null) this.active = process;
    else this.spare = process;
    this.#options.events.sandbox({ event: "started", by: "", reason: this.active === process ? "active" : "spare", rule: "", pid: process.pid });
    this.#fill();
    this.#settleWaiters();
    this.#options.changed();
  }

  #missingIn(process: SandboxProcess): HeldRelease | undefined {
    return this.#releases.find((release) => !process.has(release.number));
  }

  async #load(release: HeldRelease): Promise<void> {
    if (this.#releases.length >= MAX_RELEASES) throw new GatewayError("SANDBOX_UNAVAILABLE", `${MAX_RELEASES} releases are still in use by running exchanges`);
    await this.#until(() => this.active !== null && this.spare !== null);
    await this.spare!.load(release);
    // Proven: from here on every process has to have it.
    this.#releases.push(release);
    try {
      await this.#loadWherever(release);
    } catch (thrown) {
      this.unload(release);
      throw thrown;
    }
  }

  async #loadWherever(release: HeldRelease): Promise<void> {
    for (;;) {
      await this.#until(() => this.active !== null && this.spare !== null);
      const process = [this.active!, this.spare!].find((each) => !each.has(release.number));
      if (process === undefined) return;
      try {
        await process.load(release);
      } catch (thrown) {
        // A process that died meanwhile is replaced by one that has it; a refusal by a living one is final.
        if (process.death === null) throw thrown;
      }
    }
  }

  #until(ready: () => boolean): Promise<void> {
    if (ready()) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.after(READY_TIMEOUT_MS, () => this.#failWaiters());
      this.#waiters.push({
        ready,
        resolve: () => {
          timer.cancel();
          resolve();
        },
        reject: (error) => {
          timer.cancel();
          reject(error);
        },
      });
    });
  }

  #settleWaiters(): void {
    const ready = this.#waiters.filter((waiter) => waiter.ready());
    this.#waiters = this.#waiters.filter((waiter) => !ready.includes(waiter));
    for (const waiter of ready) waiter.resolve();
  }
  #failWaiters(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const waiter of waiters)
      waiter.reject(new GatewayError("SANDBOX_UNAVAILABLE", this.#closed ? "the gateway is closing" : `no sandbox process came up: ${this.#lastReason}`));
  }
}
