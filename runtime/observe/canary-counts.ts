/** What is counted while a canary runs, of its exchanges and of those of the release it is compared with. Plain data that can be added up. */

/** Upper bounds of latencies in ms, each a tenth above the last: from 0.1 ms to a minute. */
export const LATENCY_BOUNDS_MS: readonly number[] = Array.from({ length: 140 }, (_, i) => 0.1 * 1.1 ** i);

/** Of which the CPU is compared. All of it is told every second. */
const RULES_LIMIT = 200;

export interface CpuSums {
  /** Clients whose first exchange ran the rule. */
  readonly units: number;
  /** Microseconds. */
  readonly sum: number;
  readonly sumOfSquares: number;
}

const KINDS = ["exceptions", "timeouts", "failures"] as const;
type Kind = (typeof KINDS)[number];
/** Addresses that are told, of each kind: where more have failed, nobody has to look at them one by one. */
const VOICES_LIMIT = 200;

/** Clients count, not requests: whatever one client repeats says nothing new, and must not end a canary. */
export interface ArmCounts {
  readonly units: number;
  readonly requests: number;
  /** Clients that met at least one rule exception … */
  readonly exceptions: number;
  /** … time-out … */
  readonly timeouts: number;
  /** … 5xx. None of them of a client's making. */
  readonly failures: number;
  /** From where they spoke, as hashes, as far as they are told: whoever fails on several workers, here and on other gateways, has failed once. */
  readonly voices?: Readonly<Partial<Record<Kind, readonly number[]>>>;
  /** Of each client's first exchange, by `LATENCY_BOUNDS_MS`; the last one is what lies above. */
  readonly latencies: readonly number[];
  /** By rule. */
  readonly cpu: Readonly<Record<string, CpuSums>>;
}

/** Of one step. */
export interface CanaryCounts {
  /** The epoch that began it. */
  readonly step: number;
  /** Since the last exchange on the canary; null: there was none. */
  readonly idleMs: number | null;
  readonly canary: ArmCounts;
  readonly current: ArmCounts;
}

export const NO_COUNTS: ArmCounts = Object.freeze({
  units: 0,
  requests: 0,
  exceptions: 0,
  timeouts: 0,
  failures: 0,
  latencies: Object.freeze(Array.from({ length: LATENCY_BOUNDS_MS.length + 1 }, () => 0)),
  cpu: Object.freeze({}),
});

export function addArms(a: ArmCounts, b: ArmCounts): ArmCounts {
  const cpu: Record<string, CpuSums> = { ...a.cpu };
  for (const [rule, more] of Object.entries(b.cpu)) {
    const sums = cpu[rule] ?? { units: 0, sum: 0, sumOfSquares: 0 };
    cpu[rule] = { units: sums.units + more.units, sum: sums.sum + more.sum, sumOfSquares: sums.sumOfSquares + more.sumOfSquares };
  }
  const [exceptions, timeouts, failures] = KINDS.map((kind) => failed(kind, a, b)) as [Failed, Failed, Failed];
  return {
    units: a.units + b.units,
    requests: a.requests + b.requests,
    exceptions: exceptions.count,
    timeouts: timeouts.count,
    failures: failures.count,
    voices: { exceptions: exceptions.voices, timeouts: timeouts.voices, failures: failures.voices },
    latencies: a.latencies.map((count, i) => count + (b.latencies[i] ?? 0)),
    cpu,
  };
}

interface Failed {
  readonly count: number;
  readonly voices: readonly number[];
}

function failed(kind: Kind, a: ArmCounts, b: ArmCounts): Failed {
  const voices = new Set(a.voices?.[kind]);
  const more = b.voices?.[kind] ?? [];
  const known = more.filter((voice) => voices.has(voice)).length;
  for (const voice of more) if (voices.size < VOICES_LIMIT) voices.add(voice);
  return { count: a[kind] + b[kind] - known, voices: [...voices] };
}

/** Of the same step. */
export function addCounts(a: CanaryCounts, b: CanaryCounts): CanaryCounts {
  const idleMs = a.idleMs === null || b.idleMs === null ? (a.idleMs ?? b.idleMs) : Math.min(a.idleMs, b.idleMs);
  return { step: a.step, idleMs, canary: addArms(a.canary, b.canary), current: addArms(a.current, b.current) };
}

/** One arm while it is counted. */
export class Arm {
  units = 0;
  requests = 0;
  readonly #failed: Record<Kind, number> = { exceptions: 0, timeouts: 0, failures: 0 };
  readonly #voices: Record<Kind, Set<number>> = { exceptions: new Set(), timeouts: new Set(), failures: new Set() };
  readonly #latencies = [...NO_COUNTS.latencies];
  readonly #cpu = new Map<string, { units: number; sum: number; sumOfSquares: number }>();

  failed(kind: Kind, voice: number): void {
    this.#failed[kind]++;
    const voices = this.#voices[kind];
    if (voices.size < VOICES_LIMIT) voices.add(voice);
  }
  latency(ms: number): void {
    this.#latencies[bucketOf(ms)]!++;
  }
  cpu(rule: string, us: number): void {
    let sums = this.#cpu.get(rule);
    if (sums === undefined && this.#cpu.size >= RULES_LIMIT) return;
    if (sums === undefined) this.#cpu.set(rule, (sums = { units: 0, sum: 0, sumOfSquares: 0 }));
    sums.units++;
    sums.sum += us;
    sums.sumOfSquares += us * us;
  }
  counts(): ArmCounts {
    const { units, requests } = this;
    const { exceptions, timeouts, failures } = this.#voices;
    const voices = { exceptions: [...exceptions], timeouts: [...timeouts], failures: [...failures] };
    const cpu = Object.fromEntries(Array.from(this.#cpu, ([rule, sums]) => [rule, { ...sums }]));
    return { units, requests, ...this.#failed, voices, latencies: [...this.#latencies], cpu };
  }
}

function bucketOf(ms: number): number {
  let [low, high] = [0, LATENCY_BOUNDS_MS.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (LATENCY_BOUNDS_MS[middle]! >= ms) high = middle;
    else low = middle + 1;
  }
  return low;
}
