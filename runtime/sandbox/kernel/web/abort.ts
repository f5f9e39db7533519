/** AbortController and AbortSignal (DOM Standard section 3). */
import { DOMException } from "./dom-exception.ts";
import { Event, EventTarget } from "./events.ts";
import { host } from "./host.ts";

const create = Symbol("create");
const abort = Symbol("abort");

/** Web IDL's [EnforceRange] unsigned long long. */
const MAX_DELAY_MS = Number.MAX_SAFE_INTEGER;

export class AbortSignal extends EventTarget {
  #aborted = false;
  #reason: unknown = undefined;
  #dependents: AbortSignal[] = [];
  #onabort: ((event: Event) => unknown) | null = null;

  constructor(token?: typeof create) {
    if (token !== create) throw new TypeError("Illegal constructor");
    super();
  }

  static abort(reason?: unknown): AbortSignal {
    const signal = new AbortSignal(create);
    signal.#aborted = true;
    signal.#reason = reason === undefined ? new DOMException("This operation was aborted", "AbortError") : reason;
    return signal;
  }

  static timeout(milliseconds: number): AbortSignal {
    const ms = Math.trunc(Number(milliseconds));
    if (!(ms >= 0 && ms <= MAX_DELAY_MS)) throw new TypeError("AbortSignal.timeout: milliseconds from 0 up are expected");
    const signal = new AbortSignal(create);
    host().timer(ms, () => signal[abort](new DOMException("The operation was aborted due to timeout", "TimeoutError")));
    return signal;
  }

  static any(signals: Iterable<AbortSignal>): AbortSignal {
    const sources = [...signals];
    for (const source of sources) if (!(source instanceof AbortSignal)) throw new TypeError("AbortSignal.any: signals are expected");
    const first = sources.find((source) => source.aborted);
    if (first !== undefined) return AbortSignal.abort(first.reason);
    const signal = new AbortSignal(create);
    for (const source of sources) source.#dependents.push(signal);
    return signal;
  }

  /** For `AbortController`, which alone may make signals and abort them. */
  static [create](): AbortSignal {
    return new AbortSignal(create);
  }

  get aborted(): boolean {
    return this.#aborted;
  }
  get reason(): unknown {
    return this.#reason;
  }
  get onabort(): ((event: Event) => unknown) | null {
    return this.#onabort;
  }
  set onabort(listener: ((event: Event) => unknown) | null) {
    if (this.#onabort !== null) this.removeEventListener("abort", this.#onabort);
    this.#onabort = typeof listener === "function" ? listener : null;
    this.addEventListener("abort", this.#onabort);
  }
  throwIfAborted(): void {
    if (this.#aborted) throw this.#reason;
  }

  [abort](reason: unknown): void {
    if (this.#aborted) return;
    this.#aborted = true;
    this.#reason = reason;
    const dependents = this.#dependents.filter((one) => !one.#aborted);
    this.#dependents = [];
    // All are marked before any listener runs (DOM Standard, "signal abort").
    for (const one of dependents) one.#mark(reason);
    this.dispatchEvent(new Event("abort"));
    for (const one of dependents) one.dispatchEvent(new Event("abort"));
  }
  #mark(reason: unknown): void {
    this.#aborted = true;
    this.#reason = reason;
    const further = this.#dependents;
    this.#dependents = [];
    for (const one of further) {
      if (one.#aborted) continue;
      one.#mark(reason);
      this.addEventListener("abort", () => void one.dispatchEvent(new Event("abort")), { once: true });
    }
  }
  override get [Symbol.toStringTag](): string {
    return "AbortSignal";
  }
}

export class AbortController {
  readonly #signal = AbortSignal[create]();

  get signal(): AbortSignal {
    return this.#signal;
  }
  abort(reason?: unknown): void {
    this.#signal[abort](reason === undefined ? new DOMException("This operation was aborted", "AbortError") : reason);
  }
  get [Symbol.toStringTag](): string {
    return "AbortController";
  }
}
