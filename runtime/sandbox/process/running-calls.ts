/** Which hook calls wait inside an isolate: asked when a reply comes and when the isolate is lost. */
import { TextReader } from "../codec.ts";
import { FromSandbox } from "../protocol.ts";

export interface RunningCall {
  readonly context: number;
  readonly cpuMs: number;
}

export class RunningCalls {
  readonly #hooks = new Map<number, RunningCall>();
  /** Their hooks are done; `waitUntil` work goes on. */
  readonly #tails = new Map<number, RunningCall>();

  get size(): number {
    return this.#hooks.size + this.#tails.size;
  }
  get(call: number): RunningCall | undefined {
    return this.#hooks.get(call) ?? this.#tails.get(call);
  }
  begin(calls: readonly number[], call: RunningCall): void {
    for (const number of calls) this.#hooks.set(number, call);
  }
  forget(call: number): void {
    this.#hooks.delete(call);
    this.#tails.delete(call);
  }
  /** Reads what the kernel said about calls that are done. */
  note(output: string): void {
    const reader = new TextReader(output);
    while (!reader.done) {
      const kind = reader.num();
      const call = reader.num();
      switch (kind) {
        case FromSandbox.DONE:
          this.#done(call, reader.num());
          reader.num();
          reader.num();
          reader.skip();
          skipCpu(reader);
          reader.skip();
          break;
        case FromSandbox.TAIL:
          this.forget(call);
          reader.skip();
          skipCpu(reader);
          break;
        case FromSandbox.CALL:
          reader.num();
          reader.num();
          reader.skip();
          reader.skip();
          break;
        default:
          // STRAY: what stood in `call` is the release.
          reader.num();
          reader.skip();
      }
    }
  }
  takeHooks(): number[] {
    const calls = [...this.#hooks.keys()];
    this.#hooks.clear();
    return calls;
  }
  takeTails(): number[] {
    const calls = [...this.#tails.keys()];
    this.#tails.clear();
    return calls;
  }

  /** `tail` as in DONE: with element callbacks it is run again when it is lost, as a hook is. */
  #done(call: number, tail: number): void {
    if (tail === 2) return;
    const running = this.#hooks.get(call);
    this.#hooks.delete(call);
    if (tail === 1 && running !== undefined) this.#tails.set(call, running);
  }
}

function skipCpu(reader: TextReader): void {
  for (let left = reader.num(); left > 0; left--) {
    reader.num();
    reader.num();
  }
}
