/** Who kept breaking sandboxes. Counted per release, so a new release starts clean. */

/** Offences after which a rule is not run any more. One could be bad luck with a huge request, two the same request again. */
export const OFFENCES_TO_QUARANTINE = 3;

export class OffenceBook {
  readonly #enabled: boolean;
  readonly #offences = new Map<number, number>();

  constructor(enabled: boolean) {
    this.#enabled = enabled;
  }

  /** True when this offence is the one that puts the rule into quarantine. */
  offend(rule: number): boolean {
    const count = (this.#offences.get(rule) ?? 0) + 1;
    this.#offences.set(rule, count);
    return this.#enabled && count === OFFENCES_TO_QUARANTINE;
  }
  /** Has it ever broken a sandbox? */
  hasOffended(rule: number): boolean {
    return this.#offences.has(rule);
  }
  get clean(): boolean {
    return this.#offences.size === 0;
  }
  isQuarantined(rule: number): boolean {
    return this.#enabled && (this.#offences.get(rule) ?? 0) >= OFFENCES_TO_QUARANTINE;
  }
  quarantined(): number[] {
    return [...this.#offences.keys()].filter((rule) => this.isQuarantined(rule));
  }
}
