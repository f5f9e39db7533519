/** What becomes of hook calls whose sandbox or isolate went down: who is asked again at once, who is tried, and who is guilty. */
import { failureByDeath, failureFrom, type Failure } from "./failures.ts";
import { Guilt } from "./protocol.ts";
import type { Death, SandboxProcess } from "./sandbox-process.ts";
import type { SandboxEvents } from "./sandbox.ts";
import type { Segment } from "./segment.ts";

/** Times that a hook call is run again after its isolate vanished with nobody to blame: more than the process needs to lengthen its patience to the full. */
const MAX_LOSSES = 10;

export interface LossesOptions {
  readonly events: SandboxEvents;
  /** Sends a hook call to the active sandbox, or has it wait for one. */
  dispatch(segment: Segment): void;
  /** Has suspects tried alone. */
  accuse(segments: readonly Segment[]): void;
  /** Ends a hook call with a failure of `rule`. */
  end(segment: Segment, rule: number, failure: Failure): void;
  /** No sandbox holds on to it. */
  giveUp(segment: Segment, reason: string): void;
}

interface Orphan {
  readonly process: SandboxProcess;
  readonly segment: Segment;
  /** It may have been running. */
  readonly suspect: boolean;
  /** By the process that lost it. */
  readonly accused: boolean;
}

export class Losses {
  readonly #options: LossesOptions;
  /** Hook calls of lost isolates, until the isolates stand again. */
  #orphans: Orphan[] = [];
  /** Isolates that went down for their memory, by process and release, until it is known who did it. */
  readonly #burst = new Map<SandboxProcess, Set<number>>();

  constructor(options: LossesOptions) {
    this.#options = options;
  }

  /** The process is gone; the pair has put the spare in its place. */
  processDied(process: SandboxProcess, death: Death): void {
    const calls = process.calls.list();
    process.calls.clear();
    this.#burst.delete(process);
    const orphans = this.#orphans.filter((entry) => entry.process === process);
    this.#orphans = this.#orphans.filter((entry) => entry.process !== process);
    const noFault = death.by === "outside" || death.cause === "closing";
    const suspects = noFault ? [] : calls.filter((segment) => process.mayRun(segment));
    const others = [...calls.filter((segment) => !suspects.includes(segment)), ...orphans.map((entry) => entry.segment)];
    const tried = process.alone;
    process.alone = null;
    for (const segment of others) segment.process = null;
    if (tried !== null && others.includes(tried)) this.#options.accuse([tried]);
    this.#judge(suspects, failureByDeath(death));
    for (const segment of others) if (segment !== tried) this.#options.dispatch(segment);
  }

  /** ISOLATE_LOST. */
  isolateLost(process: SandboxProcess, release: number, reason: string): void {
    this.#options.events.sandbox({ event: "isolate-lost", by: "sluice", reason: reason.slice(0, 500), rule: "", pid: process.pid });
    if (reason !== "memory") return;
    const burst = this.#burst.get(process);
    if (burst === undefined) this.#burst.set(process, new Set([release]));
    else burst.add(release);
  }

  /** LOST. */
  hookLost(process: SandboxProcess, segment: Segment, guilt: Guilt, failureJson: string): void {
    const { held } = segment.pending;
    const suspect = process.mayRun(segment);
    process.calls.delete(segment.number);
    segment.process = null;
    if (guilt !== Guilt.CERTAIN) {
      if (++segment.losses > MAX_LOSSES) this.#options.giveUp(segment, "its isolate was lost too often");
      else this.#orphans.push({ process, segment, suspect, accused: guilt === Guilt.SUSPECT });
      return;
    }
    this.#burst.get(process)?.delete(held.number);
    const failure = failureFrom(failureJson, held);
    const { rules } = segment;
    if (rules.includes(failure.rule)) this.#convict(segment, failure.rule, failure);
    else if (rules.length === 1 || segment.tail) this.#convict(segment, rules[0]!, failure);
    // One of several rules: which one shows when they run one by one.
    else this.#options.accuse([segment]);
  }

  /** LOADED: the isolate stands again. */
  isolateStands(process: SandboxProcess, release: number): void {
    const back = this.#orphans.filter((entry) => entry.process === process && entry.segment.pending.held.number === release);
    if (back.length === 0) return;
    this.#orphans = this.#orphans.filter((entry) => !back.includes(entry));
    // After a time-out that nobody's CPU explains, the process gives them more time; only memory needs a trial.
    const burst = this.#burst.get(process)?.delete(release) === true;
    const suspects = burst ? back.filter((entry) => entry.suspect).map((entry) => entry.segment) : [];
    // Whatever the machine did to them: where these run again, nobody waits for them. All at once, so that those who are hardly the culprit come first.
    const accused = back.filter((entry) => entry.accused && !suspects.includes(entry.segment)).map((entry) => entry.segment);
    for (const { segment } of back) if (!suspects.includes(segment) && !accused.includes(segment)) this.#options.dispatch(segment);
    if (accused.length > 0) this.#options.accuse(accused);
    this.#judge(suspects, { kind: "memory", message: "it was alone in an isolate that was lost twice", stack: "" });
  }

  /** One of these has done it. One who was alone twice is guilty. */
  #judge(suspects: readonly Segment[], failure: Failure): void {
    const [only] = suspects;
    if (only === undefined) return;
    for (const segment of suspects) segment.process = null;
    if (suspects.length === 1 && (only.rules.length === 1 || only.tail)) only.aloneDeaths++;
    if (only.aloneDeaths >= 2) this.#convict(only, only.rules[0]!, failure);
    else this.#options.accuse(suspects);
  }

  #convict(segment: Segment, rule: number, failure: Failure): void {
    const { held } = segment.pending;
    if (held.offences.offend(rule, held.finished[rule]!))
      this.#options.events.sandbox({ event: "quarantined", by: "sluice", reason: failure.message, rule: held.nameOf(rule), pid: 0 });
    this.#options.end(segment, rule, failure);
  }
}
