/**
 * Who kept breaking sandboxes. Counted per release, so a new release starts clean.
 *
 * A rule may be innocent and its visitors not: a megabyte of "[" to one that reads `req.json()` takes longer than any hook may. So a rule that does its work
 * for most is not taken from all for the sake of a few requests, and quarantine ends by itself; the next offences bring it back for twice as long. What
 * always offends then costs others three offences in a quarter of an hour.
 */

/** Offences after which a rule is not run for a while, when they are a tenth of its runs. One could be bad luck with a huge request, two the same request again. */
export const OFFENCES_TO_QUARANTINE = 3;
const OFFENDING_SHARE = 0.1;
/** … and however many runs went well: each holds others up for some 100 ms. */
const MOST_OFFENCES = 12;
/** Offences that lie further apart are counted anew. */
const WINDOW_MS = 300_000;
const FIRST_QUARANTINE_MS = 60_000;
const LONGEST_QUARANTINE_MS = 900_000;

interface Offender {
  offences: number;
  /** When the first of them was, and how many runs had gone well by then. */
  sinceMs: number;
  wellBefore: number;
  /** Of the present quarantine, or the last; 0: there was none. */
  untilMs: number;
  lengthMs: number;
}

export class OffenceBook {
  readonly #enabled: boolean;
  readonly #nowMs: () => number;
  readonly #offenders = new Map<number, Offender>();

  /** `nowMs`: monotonic. */
  constructor(enabled: boolean, nowMs: () => number) {
    this.#enabled = enabled;
    this.#nowMs = nowMs;
  }

  /** `well`: the rule's runs that ended well so far. True when this offence is the one that puts it into quarantine. */
  offend(rule: number, well: number): boolean {
    const nowMs = this.#nowMs();
    let offender = this.#offenders.get(rule);
    if (offender === undefined) this.#offenders.set(rule, (offender = { offences: 0, sinceMs: nowMs, wellBefore: well, untilMs: 0, lengthMs: 0 }));
    if (nowMs < offender.untilMs) return false;
    if (nowMs - offender.sinceMs > WINDOW_MS) Object.assign(offender, { offences: 0, sinceMs: nowMs, wellBefore: well });
    const { wellBefore, lengthMs } = offender;
    const offences = ++offender.offences;
    const isOften = offences >= OFFENCES_TO_QUARANTINE && offences >= (well - wellBefore + offences) * OFFENDING_SHARE;
    if (!this.#enabled || (!isOften && offences < MOST_OFFENCES)) return false;
    offender.lengthMs = Math.min(lengthMs === 0 ? FIRST_QUARANTINE_MS : 2 * lengthMs, LONGEST_QUARANTINE_MS);
    offender.untilMs = nowMs + offender.lengthMs;
    offender.offences = 0;
    offender.sinceMs = offender.untilMs;
    offender.wellBefore = well;
    return true;
  }
  /** Has it ever broken a sandbox? */
  hasOffended(rule: number): boolean {
    return this.#offenders.has(rule);
  }
  get clean(): boolean {
    return this.#offenders.size === 0;
  }
  isQuarantined(rule: number): boolean {
    const untilMs = this.#offenders.get(rule)?.untilMs ?? 0;
    return untilMs > 0 && this.#nowMs() < untilMs;
  }
  quarantined(): number[] {
    return [...this.#offenders.keys()].filter((rule) => this.isQuarantined(rule));
  }
}
