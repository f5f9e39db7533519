/** The workers: how many, on which release and config, started again when they crash, replaced one at a time. */
import type { Clock, Timer } from "../clock.ts";
import type { Release, SourceMaps } from "../compile/release.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import type { WorkerSnapshot } from "../observe/snapshot.ts";
import { Backoff, RESTART_BACKOFF } from "./backoff.ts";
import type { ShownProblem } from "./problem-answer.ts";
import { shareOf } from "./share.ts";
import type { ListeningSocket } from "./sockets.ts";
import { differsInRoutesAlone, Standby } from "./standby.ts";
import { reasonOf, StartError } from "./start-error.ts";
import type { Tails } from "./tails.ts";
import type { CanaryStart } from "../proxy/worker.ts";
import { load, orLost, runCanaryOn, showProblemOn } from "./worker-orders.ts";
import { WorkerProcess, type WorkerEnd, type WorkerProcessOptions, type WorkerState } from "./worker-process.ts";

/** What a worker is started with. Replaced as a whole, never changed. */
export interface Plan {
  readonly config: ResolvedConfig;
  readonly release: Release;
  readonly maps: SourceMaps;
  readonly sockets: readonly ListeningSocket[];
  /** What runs beside the release. Left out or null: nothing. */
  readonly canary?: CanaryStart | null;
}

/** What of a plan a deploy changes. */
export type Served = Pick<Plan, "config" | "release" | "maps">;

export interface FleetOptions {
  readonly kernel: string;
  readonly entry: string;
  readonly gateway: string;
  readonly givePipe: WorkerProcessOptions["givePipe"];
  readonly clock: Clock;
  readonly random: () => number;
  readonly onEvent: (level: "info" | "warn" | "error", event: string, facts: Readonly<Record<string, unknown>>) => void;
  readonly onSnapshot: (worker: number, snapshot: WorkerSnapshot) => void;
  readonly onEnded: (worker: number, end: WorkerEnd) => void;
  readonly tails: Tails;
  /** What debug headers are signed with. */
  readonly debugKey: string;
  readonly onWantRelease: WorkerProcessOptions["onWantRelease"];
  readonly onPreviewRefused: WorkerProcessOptions["onPreviewRefused"];
}

interface Slot {
  worker: WorkerProcess | null;
  readonly backoff: Backoff;
  restart: Timer | null;
}

export class Fleet {
  readonly #options: FleetOptions;
  #plan: Plan;
  #slots: Slot[] = [];
  /** Those that drain after another took their place, and those that are not in a place yet. */
  readonly #others = new Set<WorkerProcess>();
  /** Hold a release beside the one that serves. */
  #prepared: ReadonlySet<WorkerProcess> = new Set();
  readonly #standby: Standby;
  #nextNumber = 1;
  #problem: ShownProblem | null = null;
  #previewKey = "";
  #started = false;
  #stopping = false;

  constructor(plan: Plan, options: FleetOptions) {
    this.#plan = plan;
    this.#options = options;
    this.#standby = new Standby({
      spawn: (next) => this.#spawn({ ...next, sockets: this.#plan.sockets }, null, true),
      drop: (worker) => void this.#retire(worker, this.#plan),
    });
  }

  get plan(): Plan {
    return this.#plan;
  }
  /** All processes, draining ones included. */
  get workers(): WorkerProcess[] {
    return [...this.#slots.flatMap(({ worker }) => (worker ? [worker] : [])), ...this.#others];
  }
  get serving(): WorkerProcess[] {
    return this.workers.filter((worker) => worker.state === "serving");
  }
  get wanted(): number {
    return this.#plan.config.workers;
  }

  /** All of them ready, or none left and the reason told. */
  async start(): Promise<void> {
    this.#slots = Array.from({ length: this.wanted }, () => this.#slot());
    const starts = await Promise.allSettled(this.#slots.map((slot) => this.#spawn(this.#plan, slot).ready));
    const reasons = new Set(starts.flatMap((start) => (start.status === "rejected" ? [reasonOf(start.reason)] : [])));
    if (reasons.size === 0) {
      this.#started = true;
      // One that was ready and crashed while the others still started.
      for (const slot of this.#slots) if (slot.worker === null) this.#startAgain(slot, 0);
      return;
    }
    this.killAll();
    await Promise.all(this.workers.map((worker) => worker.ended));
    throw new StartError([...reasons]);
  }

  /** Another release on every worker: prepared everywhere, then switched. When one rejects it, nothing changes anywhere. */
  async deploy(release: Release, maps: SourceMaps): Promise<void> {
    const next = { config: this.#plan.config, release, maps };
    await this.prepare(next);
    await this.activate(next);
  }

  /** The first half: loaded on every worker beside the one that serves, or on none. With another config new workers load it, beside those that serve. */
  async prepare(next: Served): Promise<void> {
    if (this.#needsOthers(next.config)) return this.#standby.prepare(next, this.#draining);
    const workers = this.serving;
    const prepared = await Promise.allSettled(workers.map((worker) => load(worker, next, this.#plan)));
    const reasons = new Set(prepared.flatMap((result) => (result.status === "rejected" ? [reasonOf(result.reason)] : [])));
    if (reasons.size === 0) {
      this.#prepared = new Set(workers);
      return;
    }
    await this.discard();
    throw new StartError([...reasons]);
  }

  /** The second half, for what was prepared last. A worker that did not prepare it, because it is new, is brought along. */
  async activate(next: Served): Promise<void> {
    if (this.#needsOthers(next.config)) return this.#activateBeside(next);
    const { release } = next;
    const prepared = this.#prepared;
    this.#prepared = new Set();
    const before = this.#plan;
    this.#plan = { ...before, ...next };
    await Promise.all(
      this.serving.map(async (worker) => {
        if (!prepared.has(worker)) return this.#catchUp(worker, before);
        await orLost(worker, () => worker.activate(release.id), "did not switch releases");
      }),
    );
  }

  #needsOthers(config: ResolvedConfig): boolean {
    return config !== this.#plan.config && !differsInRoutesAlone(config, this.#plan.config);
  }

  get #draining(): number {
    return [...this.#others].filter(({ state }) => state === "draining").length;
  }

  /** A share of the clients is on a canary: on what was prepared, or on the one that runs already. A worker that did not prepare it is brought along. */
  async runCanary(canary: CanaryStart): Promise<void> {
    this.#prepared = new Set();
    this.#plan = { ...this.#plan, canary };
    await Promise.all(this.serving.map((worker) => runCanaryOn(worker, canary, this.#options.onEvent)));
  }

  async endCanary(): Promise<void> {
    this.#plan = { ...this.#plan, canary: null };
    // Whoever takes the place of one that is lost begins without it.
    await Promise.all(this.serving.map((worker) => orLost(worker, () => worker.endCanary(), "did not end the canary")));
  }

  /** The canary serves. Throws when none runs. */
  async promoteCanary(): Promise<void> {
    const before = this.#plan;
    const { canary } = before;
    if (canary === undefined || canary === null) throw new StartError(["no canary runs here"]);
    this.#plan = { ...before, release: canary.release, maps: canary.maps, canary: null };
    await Promise.all(
      this.serving.map(async (worker) => {
        try {
          await worker.promoteCanary(canary.release.id);
        } catch {
          // It could not be loaded there beside the last one, which #catchUp tries again.
          await this.#catchUp(worker, before);
        }
      }),
    );
  }

  /** What previews are signed with, on every worker and those to come. */
  async previewKey(key: string): Promise<void> {
    this.#previewKey = key;
    const ready = this.workers.filter(({ state }) => state === "serving" || state === "standby");
    await Promise.allSettled(ready.map((worker) => worker.previewKey(key)));
  }
  get signsPreviewsWith(): string {
    return this.#previewKey;
  }

  /** What was prepared is not wanted after all. */
  async discard(): Promise<void> {
    this.#prepared = new Set();
    this.#standby.drop();
    // One that is lost holds nothing any more.
    await Promise.allSettled(this.serving.map((worker) => worker.discard()));
  }

  /** The new workers accept before the old ones stop; these finish what they have begun, until limits.drain. */
  async #activateBeside(next: Served): Promise<void> {
    let workers = this.#standby.take(next);
    if (workers === null) {
      // Catching up; or another config was taken here since it was prepared.
      await this.#standby.prepare(next, this.#draining);
      workers = this.#standby.take(next)!;
    }
    const last = this.#plan;
    this.#plan = { ...next, sockets: last.sockets };
    const old = this.#slots.flatMap(({ worker }) => (worker === null ? [] : [worker]));
    for (const slot of this.#slots) slot.restart?.cancel();
    for (const worker of old) this.#others.add(worker);
    this.#slots = workers.map((worker) => {
      this.#others.delete(worker);
      return { ...this.#slot(), worker };
    });
    await Promise.all(workers.map((worker) => orLost(worker, () => worker.accept(), "did not begin to accept")));
    for (const slot of this.#slots) if (slot.worker?.state === "ended") this.#lost(slot);
    void Promise.all(old.map((worker) => this.#retire(worker, last)));
  }

  /** It ended before it had its place. */
  #lost(slot: Slot): void {
    slot.worker = null;
    if (!this.#stopping) this.#startAgain(slot, 0);
  }

  /** Until a request for `path` is answered by the workers themselves; null: not any more. */
  async expectProbe(path: string | null): Promise<void> {
    const asked = (state: WorkerState): Promise<void>[] => this.workers.filter((worker) => worker.state === state).map((worker) => worker.expectProbe(path));
    // A worker that drains has stopped accepting when it answers this; what it had accepted before must not ask an origin. It may end meanwhile.
    const drained = Promise.allSettled(asked("draining"));
    await Promise.all(asked("serving"));
    await drained;
  }

  /** On every worker that serves, and on those to come. */
  async showProblem(problem: ShownProblem | null): Promise<void> {
    this.#problem = problem;
    await Promise.all(this.serving.map((worker) => showProblemOn(worker, problem, this.#options.onEvent)));
  }

  /**
   * Every worker by a new one, one at a time: the new one serves before the old one stops accepting, and the old one ends
   * when its exchanges have, at the latest at limits.drain; the next is not held up by that. When a new one does not start, those replaced so far go back to the old plan.
   */
  async replaceAll(given: Plan): Promise<void> {
    this.#standby.drop();
    const last = this.#plan;
    const next: Plan = { canary: last.canary ?? null, ...given };
    this.#plan = next;
    const retired: Promise<void>[] = [];
    try {
      for (let i = 0; i < next.config.workers; i++) retired.push((await this.#replace(i, next, last)).gone);
      // Fewer workers than before.
      for (const slot of this.#slots.splice(next.config.workers)) retired.push(this.#retireSlot(slot, last));
    } catch (thrown) {
      this.#plan = last;
      for (let i = retired.length - 1; i >= 0; i--) {
        await this.#replace(i, last, next).catch((again: unknown) => this.#options.onEvent("error", "worker-rollback-failed", { reason: reasonOf(again) }));
      }
      for (const slot of this.#slots.splice(last.config.workers)) void this.#retireSlot(slot, next);
      throw new StartError([reasonOf(thrown)], { cause: thrown });
    }
    await Promise.all(retired);
  }

  /** Stop accepting, finish what runs, end. */
  async drain(): Promise<void> {
    this.#stopping = true;
    for (const slot of this.#slots) slot.restart?.cancel();
    await Promise.all(this.workers.map((worker) => this.#retire(worker, this.#plan)));
  }

  killAll(): void {
    this.#stopping = true;
    for (const slot of this.#slots) slot.restart?.cancel();
    for (const worker of this.workers) worker.kill();
  }

  #slot(): Slot {
    return { worker: null, backoff: new Backoff({ ...RESTART_BACKOFF, random: this.#options.random }), restart: null };
  }

  /** In `slot`, or beside all slots. `standby`: it accepts nothing until it is told to. */
  #spawn(plan: Plan, slot: Slot | null, standby = false): WorkerProcess {
    const worker = new WorkerProcess({
      number: this.#nextNumber++,
      init: {
        config: shareOf(plan.config, plan.config.workers),
        release: plan.release,
        maps: plan.maps,
        kernel: this.#options.kernel,
        debugKey: this.#options.debugKey,
        previewKey: this.#previewKey,
        ...(plan.canary === undefined || plan.canary === null ? {} : { canary: plan.canary }),
        ...(standby ? { standby } : {}),
      },
      gateway: this.#options.gateway,
      sockets: plan.sockets,
      entry: this.#options.entry,
      clock: this.#options.clock,
      givePipe: this.#options.givePipe,
      onWantRelease: this.#options.onWantRelease,
      onPreviewRefused: this.#options.onPreviewRefused,
      onTail: (from, batch) => this.#options.tails.took(from, batch),
      onEnd: (ended, end) => this.#onEnd(ended, end),
    });
    if (slot) slot.worker = worker;
    else this.#others.add(worker);
    worker.ready.then(
      () => {
        this.#options.tails.joined(worker);
        return this.#problem === null ? undefined : showProblemOn(worker, this.#problem, this.#options.onEvent);
      },
      // Whoever asked for it waits for `ready` too, and its end is told.
      () => undefined,
    );
    this.#options.onEvent("info", "worker-started", { worker: worker.number, pid: worker.pid, release: plan.release.id });
    return worker;
  }

  /** Resolves when the new one serves; `gone` when the old one has ended. */
  async #replace(index: number, plan: Plan, last: Plan): Promise<{ gone: Promise<void> }> {
    const slot = (this.#slots[index] ??= this.#slot());
    slot.restart?.cancel();
    slot.restart = null;
    const next = this.#spawn(plan, null);
    await next.ready;
    this.#others.delete(next);
    const old = slot.worker;
    slot.worker = next;
    if (old === null) return { gone: Promise.resolve() };
    this.#others.add(old);
    return { gone: this.#retire(old, last) };
  }

  async #retireSlot(slot: Slot, plan: Plan): Promise<void> {
    slot.restart?.cancel();
    const worker = slot.worker;
    slot.worker = null;
    if (!worker) return;
    this.#others.add(worker);
    await this.#retire(worker, plan);
  }

  async #retire(worker: WorkerProcess, plan: Plan): Promise<void> {
    await worker.retire(plan.config.limits.drainMs, (last) => this.#options.onSnapshot(worker.number, last));
  }

  #onEnd(worker: WorkerProcess, end: WorkerEnd): void {
    this.#others.delete(worker);
    const slot = this.#slots.find((other) => other.worker === worker);
    if (slot) slot.worker = null;
    this.#options.onEnded(worker.number, end);
    this.#options.tails.left(worker, end.how === "asked");
    const facts = { worker: worker.number, pid: worker.pid, detail: end.detail };
    if (end.how === "asked") {
      this.#options.onEvent("info", "worker-ended", facts);
      return;
    }
    this.#options.onEvent("error", "worker-lost", { ...facts, how: end.how });
    if (slot && this.#started && !this.#stopping) this.#startAgain(slot, end.ranMs);
  }

  #startAgain(slot: Slot, ranMs: number): void {
    const waitMs = slot.backoff.next(ranMs);
    const run = () => {
      slot.restart = null;
      if (this.#stopping || slot.worker !== null || !this.#slots.includes(slot)) return;
      const plan = this.#plan;
      const worker = this.#spawn(plan, slot);
      worker.ready.then(
        () => this.#catchUp(worker, plan),
        // It has ended, and `#onEnd` has planned the next start.
        () => undefined,
      );
    };
    if (waitMs === 0) run();
    else slot.restart = this.#options.clock.after(waitMs, run);
  }

  /** A release was deployed, or a config taken, while this worker started. */
  async #catchUp(worker: WorkerProcess, plan: Plan): Promise<void> {
    const now = this.#plan;
    if (now === plan || worker.state !== "serving") return;
    if (now.config !== plan.config && !differsInRoutesAlone(now.config, plan.config)) {
      worker.killUnresponsive("started with a config that was replaced meanwhile");
      return;
    }
    try {
      if (worker.release !== now.release.id) {
        await load(worker, now, plan);
        await worker.activate(now.release.id);
      }
      if (now.canary !== undefined && now.canary !== null) await runCanaryOn(worker, now.canary, this.#options.onEvent);
      else await worker.endCanary();
    } catch (thrown) {
      worker.killUnresponsive(`did not take release ${now.release.id}: ${reasonOf(thrown)}`);
      return;
    }
    await this.#catchUp(worker, now);
  }
}
