/** A worker's side of getting releases that do not serve: asked of the supervisor, which has the store's shelf. */
import type { Clock } from "../clock.ts";
import { Strangers } from "../control/strangers.ts";
import type { ReleaseSource } from "../proxy/previews.ts";
import type { FromWorker, TakenRelease } from "./messages.ts";

/** It is fetched, checked and evaluated first. */
const DEADLINE_MS = 20_000;

export class WantedReleases implements ReleaseSource {
  readonly #clock: Clock;
  readonly #say: (message: FromWorker) => void;
  readonly #waiting = new Map<string, PromiseWithResolvers<TakenRelease>>();
  /** They may send as many bad tokens as they like. */
  readonly #strangers = new Strangers();

  constructor(clock: Clock, say: (message: FromWorker) => void) {
    this.#clock = clock;
    this.#say = say;
  }

  async take(id: string): Promise<TakenRelease> {
    const waiting = Promise.withResolvers<TakenRelease>();
    this.#waiting.set(id, waiting);
    const deadline = this.#clock.after(DEADLINE_MS, () => waiting.reject(new Error(`it did not come within ${DEADLINE_MS / 1000} s`)));
    this.#say({ kind: "want-release", id });
    try {
      return await waiting.promise;
    } finally {
      deadline.cancel();
      this.#waiting.delete(id);
    }
  }

  took(id: string, taken: TakenRelease | null, reason: string): void {
    const waiting = this.#waiting.get(id);
    if (taken === null) waiting?.reject(new Error(reason));
    else waiting?.resolve(taken);
  }

  refused(release: string, reason: string, address: string): void {
    for (const more of this.#strangers.over(this.#clock.unixMs())) this.#say({ kind: "preview-refused", release: "", reason: more, address: "" });
    if (!this.#strangers.mayTell("refused previews", address)) return;
    this.#say({ kind: "preview-refused", release, reason: reason.slice(0, 1000), address });
  }
}
