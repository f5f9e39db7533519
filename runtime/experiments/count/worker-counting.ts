/**
 * One worker's counting: journal, buffer, batches. What a worker counts is on disk when the call returns and in the store some 100 ms later; while
 * the store is away it waits, up to a bound, and what comes above that is lost and told (`lost:…` among the counts).
 */
import { randomBytes } from "node:crypto";
import { LRUCache } from "lru-cache";
import type { CheckedGoal } from "../../../sdk/experiment.ts";
import type { Clock, Timer } from "../../clock.ts";
import { asGatewayError } from "../../errors.ts";
import type { Store } from "../../store/store.ts";
import type { Assignment } from "../assign/plan.ts";
import { type CountedExchange, type Counting, type CountingStatus, type GoalExchange, isAbout, type ReachedGoal } from "./counting.ts";
import { readGoal } from "./goal-value.ts";
import { Journal, type JournalEvent, type Leftover, leftovers, type Lost } from "./journal.ts";
import { latencyBucket } from "./latency-sketch.ts";
import type { RawEvents } from "./raw-events.ts";
import { MOST_UNITS, placeOf, runName, shortHash } from "./run.ts";
import { type CountedBatch, sendBatch } from "./batch.ts";

export interface CountingParts {
  readonly store: Store;
  readonly clock: Clock;
  /** Where the journal stands; null: nowhere, so that a killed worker loses what it has not sent (rule tests). */
  readonly dir: string | null;
  /** For each version of an experiment. Left out: a million. */
  readonly mostUnits?: number;
  /** Where exposures and goals also go, line by line; null: nowhere. */
  readonly raw: RawEvents | null;
  readonly warn: (text: string) => void;
  /** Left out: 50,000. */
  readonly bufferEvents?: number;
}

const FLUSH_MS = 100;
const RETRY_MS = 500;
const ADOPT_EVERY_MS = 5_000;
const ADOPT_AT_ONCE = 4;
const BUFFER_EVENTS = 50_000;
/** A call holds Redis up for about a millisecond. */
const BATCH_EVENTS = 100;
const KNOWN_UNITS = 20_000;
const CLOSE_MS = 1_000;
/** A disk that takes nothing is not asked with every event. */
const UNWRITTEN_MS = 1_000;
const WORKER_BYTES = 9;
const MAX_UNREAD_GOALS = 1_000;
/** Of a path, in a warning. */
const MAX_TOLD_UNITS = 200;

const KINDS = { exposure: 0, goal: 1, error: 2 } as const;
type Kind = keyof typeof KINDS;

interface Known {
  error: boolean;
  goals: Set<string> | null;
}

interface Queue {
  readonly events: JournalEvent[];
  /** Resolves when what there is was sent, or could not be. */
  sending: Promise<void> | null;
  /** The store knows of so many lost ones. */
  told: number;
}

export class WorkerCounting implements Counting {
  readonly #parts: CountingParts;
  readonly #worker = randomBytes(WORKER_BYTES).toString("base64url");
  readonly #journal: Journal | null;
  readonly #queues = new Map<string, Queue>();
  readonly #lost = new Map<string, Lost>();
  /** Units that this worker has exposed, and what else it knows the store to have: most repetitions end here. */
  readonly #known = new LRUCache<string, Known>({ max: KNOWN_UNITS });
  readonly #counts = { exposures: 0, goals: 0, errors: 0, unreadable: 0, adopted: 0 };
  readonly #unreadGoals = new Set<string>();
  #number = 0;
  #pending = 0;
  #timer: Timer | null = null;
  #adoptTimer: Timer | null = null;
  #adopting = false;
  /** Until then nothing is written; 0: the journal takes what comes. */
  #unwrittenUntilMs = 0;
  #closed = false;

  constructor(parts: CountingParts) {
    this.#parts = parts;
    this.#journal = parts.dir === null ? null : openJournal(parts.dir, this.#worker, parts.warn);
    this.#adoptLater(0);
  }

  exposed(assignment: Assignment, exchange: CountedExchange): boolean {
    const { countAs, index } = assignment;
    if (!assignment.counted || countAs === null) return true;
    const run = runName(assignment);
    const known = this.#known.get(`${run} ${countAs}`);
    const { serverError, firstByteMs } = exchange;
    const atMs = Math.floor(exchange.atUnixMs);
    if (known !== undefined) {
      if (serverError && !known.error) known.error = this.#record(run, countAs, `e ${atMs}`, "error");
      return true;
    }
    const latency = serverError ? -1 : latencyBucket(firstByteMs);
    if (!this.#record(run, countAs, `x ${index} ${atMs} ${serverError ? 1 : 0} ${latency}`, "exposure")) return false;
    this.#known.set(`${run} ${countAs}`, { error: serverError, goals: null });
    this.#parts.raw?.exposure(assignment, exchange);
    return true;
  }

  knows(assignment: Assignment): boolean {
    return this.#known.has(`${runName(assignment)} ${assignment.countAs ?? ""}`);
  }

  failed(assignment: Assignment, { serverError, atUnixMs }: CountedExchange): void {
    const { countAs } = assignment;
    if (!serverError || !assignment.counted || countAs === null) return;
    const run = runName(assignment);
    const known = this.#known.get(`${run} ${countAs}`);
    if (known?.error === true) return;
    const told = this.#record(run, countAs, `e ${Math.floor(atUnixMs)}`, "error");
    if (known !== undefined) known.error = told;
  }

  completed(reached: readonly ReachedGoal[], exchange: GoalExchange): void {
    for (const { assignment, goal } of reached) {
      const { countAs } = assignment;
      if (countAs === null || !isAbout(assignment, goal)) continue;
      if (exchange.serverError) {
        this.failed(assignment, exchange);
        continue;
      }
      const reading = readGoal(goal, exchange);
      if (reading.outcome === "unreadable") this.#unreadable(assignment, goal, exchange);
      else if (reading.outcome === "reached") this.#goal(assignment, goal, exchange.atUnixMs, reading, exchange);
    }
  }

  tracked(assignment: Assignment, goal: CheckedGoal, value: number | null, callId: string, atUnixMs: number): void {
    if (assignment.countAs === null || !isAbout(assignment, goal)) return;
    if (goal.kind === "value" && (value === null || !(Math.abs(value) <= LARGEST_VALUE))) this.#counts.unreadable++;
    else this.#goal(assignment, goal, atUnixMs, { value: value ?? 1, onceId: shortHash(`t${callId}`), repeatId: "-" }, null);
  }

  /** Told once for each goal: its author looked elsewhere, and the report would say that nobody reached it. */
  #unreadable(assignment: Assignment, { name, traffic }: CheckedGoal, { method, target, status }: GoalExchange): void {
    this.#counts.unreadable++;
    const goal = `${runName(assignment)} ${name}`;
    if (this.#unreadGoals.has(goal) || traffic === null || traffic.value === null) return;
    if (this.#unreadGoals.size >= MAX_UNREAD_GOALS) this.#unreadGoals.clear();
    this.#unreadGoals.add(goal);
    const where = "header" in traffic.value ? `its header ${traffic.value.header}` : `its JSON body at ${JSON.stringify(traffic.value.json)}`;
    const path = target.split("?", 1)[0]!.slice(0, MAX_TOLD_UNITS);
    this.#parts.warn(
      `experiment ${assignment.experiment}: goal ${name} has no value to count: found no number in the answer ${status} to ${method} ${path}, in ${where}`,
    );
  }

  #goal(
    assignment: Assignment,
    goal: CheckedGoal,
    atUnixMs: number,
    { value, onceId, repeatId }: { value: number; onceId: string; repeatId: string },
    exchange: CountedExchange | null,
  ): void {
    const { name, kind, prePeriodMs = 0 } = goal;
    const run = runName(assignment);
    // Of who does not take part nothing counts but a past.
    const windowMs = assignment.counted ? goal.windowMs : -1;
    const known = this.#known.get(`${run} ${assignment.countAs}`);
    if (kind === "conversion" && known?.goals?.has(name) === true) return;
    const head = `${kind === "conversion" ? "c" : "v"} ${name} ${Math.floor(atUnixMs)} ${windowMs}`;
    const past = prePeriodMs === 0 ? "" : ` ${prePeriodMs}`;
    if (!this.#record(run, assignment.countAs!, kind === "conversion" ? head : `${head} ${value} ${onceId} ${repeatId}${past}`, "goal")) return;
    // Of a unit that another worker exposed, or nobody, only the store knows whether this one counted.
    if (kind === "conversion" && known !== undefined) (known.goals ??= new Set()).add(name);
    if (assignment.counted) this.#parts.raw?.goal(assignment, name, kind === "value" ? value : null, atUnixMs, exchange);
  }

  /** False: it is lost. */
  #record(run: string, countAs: string, event: string, kind: Kind): boolean {
    const { clock, warn } = this.#parts;
    const isTroubled = this.#unwrittenUntilMs > 0;
    if (this.#pending >= (this.#parts.bufferEvents ?? BUFFER_EVENTS) || (isTroubled && clock.now() < this.#unwrittenUntilMs)) return this.#lose(run, kind);
    const { tag, bucket } = placeOf(countAs);
    const record: JournalEvent = { number: this.#number + 1, run, text: `${tag}:${bucket} ${event}` };
    try {
      this.#journal?.append(record);
    } catch (thrown) {
      if (!isTroubled) warn(`experiments: what was counted cannot be written, and is lost until it can: ${(thrown as Error).message}`);
      this.#unwrittenUntilMs = clock.now() + UNWRITTEN_MS;
      return this.#lose(run, kind);
    }
    this.#unwrittenUntilMs = 0;
    this.#number = record.number;
    this.#queue(run).events.push(record);
    this.#pending++;
    this.#counts[`${kind}s`]++;
    this.#flushIn(FLUSH_MS);
    return true;
  }

  #lose(run: string, kind: Kind): false {
    const lost = this.#lost.get(run) ?? ([0, 0, 0] as Lost);
    lost[KINDS[kind]]++;
    this.#lost.set(run, lost);
    this.#queue(run);
    this.#journal?.tellLost(this.#lost);
    this.#flushIn(FLUSH_MS);
    return false;
  }

  #queue(run: string): Queue {
    let queue = this.#queues.get(run);
    if (queue === undefined) this.#queues.set(run, (queue = { events: [], sending: null, told: 0 }));
    return queue;
  }

  #flushIn(ms: number): void {
    if (this.#closed) return;
    this.#timer ??= this.#parts.clock.after(ms, () => {
      this.#timer = null;
      void this.flush();
    });
  }

  /** Sends what there is. Resolves when it was answered, or failed. */
  async flush(): Promise<void> {
    await Promise.all([...this.#queues].map(([run, queue]) => this.#send(run, queue)));
    if (this.#pending > 0 || [...this.#queues].some(([run, { told }]) => told < this.#lostOf(run))) this.#flushIn(RETRY_MS);
  }

  /** One batch after the other: what comes meanwhile goes with it. */
  #send(run: string, queue: Queue): Promise<void> {
    return (queue.sending ??= this.#sendAll(run, queue).finally(() => (queue.sending = null)));
  }

  async #sendAll(run: string, queue: Queue): Promise<void> {
    try {
      while (queue.events.length > 0 || queue.told < this.#lostOf(run)) {
        const lost = this.#lost.get(run) ?? NOTHING_LOST;
        const told = this.#lostOf(run);
        const events = queue.events.slice(0, BATCH_EVENTS);
        await this.#toStore({ run, worker: this.#worker, events, lost: [...lost] });
        queue.told = told;
        queue.events.splice(0, events.length);
        this.#pending -= events.length;
        if (!this.#closed) this.#journal?.settled(this.#oldest());
      }
    } catch (thrown) {
      // Kept, and sent again: the store knows by their numbers which of them it has.
      this.#tell(thrown);
    }
  }

  #toStore(batch: CountedBatch): Promise<void> {
    return sendBatch(this.#parts.store, batch, this.#parts.mostUnits ?? MOST_UNITS);
  }

  #lostOf(run: string): number {
    const lost = this.#lost.get(run);
    return lost === undefined ? 0 : lost[0] + lost[1] + lost[2];
  }

  #oldest(): number {
    let oldest = this.#number + 1;
    for (const { events } of this.#queues.values()) oldest = Math.min(oldest, events[0]?.number ?? oldest);
    return oldest;
  }

  #told = false;
  #tell(thrown: unknown): void {
    const { code, detail } = asGatewayError(thrown);
    // A store that is away is told of by the store itself.
    if (this.#told || code === "STORE_UNAVAILABLE" || code === "STORE_TIMEOUT") return;
    this.#told = true;
    this.#parts.warn(`experiments: counts wait for the store: ${detail}`);
  }

  #adoptLater(ms: number): void {
    if (this.#closed || this.#parts.dir === null) return;
    this.#adoptTimer = this.#parts.clock.after(ms, () => void this.adopt().finally(() => this.#adoptLater(ADOPT_EVERY_MS)));
  }

  /** Brings to the store what workers that are gone have left. That several do it at once does no harm. */
  async adopt(): Promise<void> {
    if (this.#adopting || this.#parts.dir === null) return;
    this.#adopting = true;
    try {
      for (const left of leftovers(this.#parts.dir, ADOPT_AT_ONCE)) await this.#adopt(left);
    } catch (thrown) {
      this.#tell(thrown);
    } finally {
      this.#adopting = false;
    }
  }

  async #adopt({ worker, read, forget }: Leftover): Promise<void> {
    const { events, lost } = await read();
    for (const run of new Set([...events.map((event) => event.run), ...lost.keys()])) {
      const own = events.filter((event) => event.run === run);
      const batch = { run, worker, lost: lost.get(run) ?? NOTHING_LOST };
      for (let from = 0; from === 0 || from < own.length; from += BATCH_EVENTS) {
        await this.#toStore({ ...batch, events: own.slice(from, from + BATCH_EVENTS) });
      }
    }
    this.#counts.adopted += events.length;
    forget();
  }

  status(): CountingStatus {
    const lost: Lost = [0, 0, 0];
    for (const one of this.#lost.values()) one.forEach((count, kind) => (lost[kind]! += count));
    return { ...this.#counts, lost, pending: this.#pending, raw: this.#parts.raw?.status() ?? null };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    this.#adoptTimer?.cancel();
    const late = new Promise<void>((resolve) => void this.#parts.clock.after(CLOSE_MS, resolve));
    await Promise.race([this.flush(), late]);
    const done = this.#pending === 0 && [...this.#queues].every(([run, { told }]) => told >= this.#lostOf(run));
    this.#journal?.close(done);
    await this.#parts.raw?.close();
  }
}

const NOTHING_LOST: Readonly<Lost> = [0, 0, 0];
const LARGEST_VALUE = 1e9;

function openJournal(dir: string, worker: string, warn: (text: string) => void): Journal | null {
  try {
    return new Journal(dir, worker);
  } catch (thrown) {
    warn(`experiments: no journal, so that a worker that is killed loses what it counted last: ${(thrown as Error).message}`);
    return null;
  }
}
