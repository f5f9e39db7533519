/**
 * The door of counting, for a worker: exposures, goals and errors of units. Nothing here waits: what is counted is written to this worker's
 * journal before the call returns (a killed worker then loses nothing that a client has seen), buffered, and brought to the store in batches.
 */
import type { CheckedGoal } from "../../../sdk/experiment.ts";
import type { Assignment } from "../assign/plan.ts";
import { statusFits } from "./goal-value.ts";
import type { Lost } from "./journal.ts";
import type { RawStatus } from "./raw-events.ts";

/** An exchange as counting sees it: when the response's head is known, before it is written to the client. */
export interface CountedExchange {
  readonly requestId: string;
  readonly atUnixMs: number;
  readonly method: string;
  /** Path and query, as the client asked. */
  readonly target: string;
  /** The request's `Idempotency-Key`; null: none. */
  readonly idempotencyKey: string | null;
  readonly status: number;
  /** From the last byte of the request's head to the response's head. */
  readonly firstByteMs: number;
  /** A 5xx of an origin, a rule or the gateway. Never what the client caused (4xx, aborts). */
  readonly serverError: boolean;
  /** For raw lines only: `host`, `path`, `country`, `device` and the like. */
  readonly attributes: Readonly<Record<string, string | number | boolean>>;
}

/** The same with what goals read of the response. */
export interface GoalExchange extends CountedExchange {
  /** Of a response header's lines; null: there is none. */
  header(name: string): string | null;
  /** Decoded, whole; null: not read, or longer than `GOAL_BODY_LIMIT_BYTES`. Needed only where `awaitsBody` says so. */
  readonly body: Uint8Array | null;
}

/** A goal whose `when` matches the request, and the unit as its experiment assigns it. */
export interface ReachedGoal {
  readonly assignment: Assignment;
  readonly goal: CheckedGoal;
}

export interface Counting {
  /**
   * The response of a variant, or of control at the same place, is about to be delivered: an error too, and a redirect before it. Counts a unit
   * once for each version, its first latency, and its first error; an assignment that is not `counted` is passed over. True: it is written down, and
   * only an error of this unit is worth telling from now on.
   */
  exposed(assignment: Assignment, exchange: CountedExchange): boolean;
  /** Has this worker written down that the unit was exposed? Another one may have. */
  knows(assignment: Assignment): boolean;
  /** An error where the unit may have been exposed before, and is not now. It counts against a unit that was. */
  failed(assignment: Assignment, exchange: CountedExchange): void;
  /**
   * An exchange that goals may be about (`isAbout`). Judges status, value and repetition; a `serverError` counts against the unit, and no goal. Before
   * the unit's first exposure the value of a goal with a pre-period is its past.
   */
  completed(reached: readonly ReachedGoal[], exchange: GoalExchange): void;
  /** `ctx.track(goal, value)`. `callId`: the same when the hook runs once more after a lost sandbox. */
  tracked(assignment: Assignment, goal: CheckedGoal, value: number | null, callId: string, atUnixMs: number): void;
  status(): CountingStatus;
  /** Brings what it can to the store, within a deadline. */
  close(): Promise<void>;
}

export interface CountingStatus {
  readonly exposures: number;
  readonly goals: number;
  readonly errors: number;
  /** Dropped: the buffer was full, or the journal could not be written. */
  readonly lost: Lost;
  /** Goals with a value whose value could not be read. */
  readonly unreadable: number;
  /** Left by workers that were lost, and brought to the store by this one. */
  readonly adopted: number;
  /** Not in the store yet. */
  readonly pending: number;
  /** Null: no raw lines are asked for. */
  readonly raw: RawStatus | null;
}

/** Does what this unit does matter to the goal? Of who is outside the traffic it may be the past of who takes part one day. */
export function isAbout({ counted, reason }: Assignment, { prePeriodMs }: CheckedGoal): boolean {
  return counted || (reason === "outside-traffic" && prePeriodMs !== undefined);
}

/** Of a JSON body that a goal's value is read from. */
export const GOAL_BODY_LIMIT_BYTES = 256 * 1024;

/** Only a body that may hold its value is held: an event stream, say, flows on. `contentType`: as it stands in the response. */
export function awaitsBody({ traffic }: CheckedGoal, status: number, contentType: string): boolean {
  if (traffic === null || traffic.value === null || !("json" in traffic.value)) return false;
  return traffic.status.some((pattern) => statusFits(pattern, status)) && JSON_TYPE.test(contentType);
}

const JSON_TYPE = /^\s*application\/(?:[^\s;,]+\+)?json\s*(?:;|$)/i;

type Series = readonly (readonly [labels: readonly string[], value: number])[];

/** As the observe room's counters of the same names (`observe/families.ts`). */
export function countingSeries({ exposures, goals, errors, lost, unreadable, adopted, raw }: CountingStatus): Readonly<Record<string, Series>> {
  const [lostExposures, lostGoals, lostErrors] = lost;
  const lines: Record<string, number> = raw === null ? {} : { written: raw.written, dropped: raw.dropped, failed: raw.failures };
  return {
    sluice_experiment_events_total: seriesOf({ exposure: exposures, goal: goals, error: errors, unreadable, adopted }),
    sluice_experiment_lost_total: seriesOf({ exposure: lostExposures, goal: lostGoals, error: lostErrors }),
    sluice_experiment_raw_lines_total: seriesOf(lines),
  };
}

function seriesOf(counts: Readonly<Record<string, number>>): Series {
  return Object.entries(counts).map(([label, value]) => [[label], value] as const);
}
