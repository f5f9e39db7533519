import type { Clock, Timer } from "../../clock.ts";

/**
 * A deadline that moves often and is seldom reached. The timer is set only when the deadline comes nearer than it stands;
 * when it fires early it is set again for the rest. A busy keep-alive connection touches it once per keep-alive span
 * instead of twice per request (0.4 µs each).
 */
export class Deadline {
  readonly #clock: Clock;
  readonly #expired: () => void;
  #atMs = Infinity;
  #armedForMs = Infinity;
  #timer: Timer | null = null;

  constructor(clock: Clock, expired: () => void) {
    this.#clock = clock;
    this.#expired = expired;
  }

  /** `atMs` in the clock's time; Infinity for none. */
  set(atMs: number): void {
    this.#atMs = atMs;
    if (atMs < this.#armedForMs) this.#arm();
  }

  cancel(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#atMs = Infinity;
    this.#armedForMs = Infinity;
  }

  #arm(): void {
    this.#timer?.cancel();
    this.#armedForMs = this.#atMs;
    this.#timer = this.#clock.after(Math.max(1, Math.ceil(this.#atMs - this.#clock.now())), this.#onTimer);
  }

  readonly #onTimer = (): void => {
    this.#timer = null;
    this.#armedForMs = Infinity;
    if (this.#atMs === Infinity) return;
    if (this.#clock.now() < this.#atMs) {
      this.#arm();
      return;
    }
    this.#atMs = Infinity;
    this.#expired();
  };
}
