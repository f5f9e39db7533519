/** Calls that wait for Redis: each with a deadline, all of them with one timer, and bounded in number. */
import type { Clock, Timer } from "../../clock.ts";
import { GatewayError } from "../../errors.ts";
import { failureOf, isAnswer } from "./connection.ts";

export interface PendingOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** An answer came, also one that is an error, and also after its deadline. */
  readonly onAnswer: (startMs: number) => void;
  readonly onFailure: () => void;
  /** A failure too. */
  readonly onTimeout: (startMs: number) => void;
}

interface Waiting {
  readonly startMs: number;
  readonly reject: (error: GatewayError) => void;
}

const MAX_OUTSTANDING = 20_000;

export class PendingCalls {
  readonly #options: PendingOptions;
  /** In the order of their deadlines. */
  readonly #waiting = new Set<Waiting>();
  #timer: Timer | null = null;

  constructor(options: PendingOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#waiting.size;
  }

  /** `work` as long as it may take. What it does after its deadline is nobody's. `again`: what to do about a failure; null: nothing. */
  bound<T>(work: () => Promise<T>, again?: (thrown: unknown) => Promise<T> | null): Promise<T> {
    const { clock, onAnswer, onFailure, timeoutMs } = this.#options;
    return new Promise<T>((resolve, reject) => {
      if (this.#waiting.size >= MAX_OUTSTANDING) {
        onFailure();
        reject(new GatewayError("STORE_FULL", `${MAX_OUTSTANDING} calls wait for Redis`));
        return;
      }
      const startMs = clock.now();
      const waiting: Waiting = { startMs, reject };
      this.#waiting.add(waiting);
      this.#timer ??= clock.after(timeoutMs, () => this.#expireSoon());
      const answered = (value: T): void => {
        this.#waiting.delete(waiting);
        onAnswer(startMs);
        resolve(value);
      };
      const failed = (thrown: unknown): void => {
        if (isAnswer(thrown)) onAnswer(startMs);
        // Told already when its deadline was over.
        if (this.#waiting.delete(waiting)) onFailure();
        reject(failureOf(thrown));
      };
      work().then(answered, (thrown: unknown) => {
        const second = again?.(thrown) ?? null;
        if (second === null) failed(thrown);
        else second.then(answered, failed);
      });
    });
  }

  failAll(error: GatewayError): void {
    this.#timer?.cancel();
    this.#timer = null;
    for (const { reject } of this.#waiting) {
      this.#options.onFailure();
      reject(error);
    }
    this.#waiting.clear();
  }

  /** When this process itself was busy, answers lie in the socket: they are read before their calls are judged. */
  #expireSoon(): void {
    setImmediate(() => setImmediate(() => this.#expire()));
  }

  #expire(): void {
    this.#timer = null;
    const { clock, onFailure, onTimeout, timeoutMs } = this.#options;
    const nowMs = clock.now();
    for (const waiting of this.#waiting) {
      if (waiting.startMs + timeoutMs > nowMs) break;
      this.#waiting.delete(waiting);
      waiting.reject(new GatewayError("STORE_TIMEOUT", `no answer within ${timeoutMs} ms`));
      onFailure();
      onTimeout(waiting.startMs);
    }
    const [next] = this.#waiting;
    if (next !== undefined) this.#timer = clock.after(Math.max(1, next.startMs + timeoutMs - nowMs), () => this.#expireSoon());
  }
}
