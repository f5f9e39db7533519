/** Calls that wait for Redis: each with a deadline, all of them with one timer, and bounded in number. */
import type { Clock, Timer } from "../../clock.ts";
import { GatewayError } from "../../errors.ts";

interface Waiting {
  readonly startMs: number;
  readonly reject: (error: GatewayError) => void;
}

const MAX_OUTSTANDING = 20_000;

export class PendingCalls {
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #onTimeout: (startMs: number) => void;
  /** In the order of their deadlines. */
  readonly #waiting = new Set<Waiting>();
  #timer: Timer | null = null;

  constructor(clock: Clock, timeoutMs: number, onTimeout: (startMs: number) => void) {
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#onTimeout = onTimeout;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** `work` as long as it may take. What it does after its deadline is nobody's. */
  bound<T>(work: () => Promise<T>): Promise<T> {
    if (this.#waiting.size >= MAX_OUTSTANDING) return Promise.reject(new GatewayError("STORE_FULL", `${MAX_OUTSTANDING} calls wait for Redis`));
    return new Promise<T>((resolve, reject) => {
      const waiting: Waiting = { startMs: this.#clock.now(), reject };
      this.#waiting.add(waiting);
      this.#timer ??= this.#clock.after(this.#timeoutMs, () => this.#expireSoon());
      void work()
        .then(resolve, reject)
        .finally(() => this.#waiting.delete(waiting));
    });
  }

  failAll(error: GatewayError): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const { reject } of this.#waiting) reject(error);
    this.#waiting.clear();
  }

  /** When this process itself was busy, answers lie in the socket: they are read before their calls are judged. */
  #expireSoon(): void {
    setImmediate(() => setImmediate(() => this.#expire()));
  }

  #expire(): void {
    this.#timer = null;
    const nowMs = this.#clock.now();
    for (const waiting of this.#waiting) {
      if (waiting.startMs + this.#timeoutMs > nowMs) break;
      this.#waiting.delete(waiting);
      waiting.reject(new GatewayError("STORE_TIMEOUT", `no answer within ${this.#timeoutMs} ms`));
      this.#onTimeout(waiting.startMs);
    }
    const [next] = this.#waiting;
    if (next !== undefined) this.#timer = this.#clock.after(Math.max(1, next.startMs + this.#timeoutMs - nowMs), () => this.#expireSoon());
  }
}
