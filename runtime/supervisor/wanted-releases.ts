/** A worker's side of getting releases that do not serve: asked of the supervisor, which has the store's shelf. */
import type { Clock } from "../clock.ts";
import type { ReleaseSource } from "../proxy/previews.ts";
import type { FromWorker, TakenRelease } from "./messages.ts";

/** It is fetched, checked and evaluated first. */
const DEADLINE_MS = 20_000;
/** Strangers may send as many bad tokens as they like. */
const REFUSALS_A_MINUTE = 30;

export class WantedReleases implements ReleaseSource {
  readonly #clock: Clock;
  readonly #say: (message: FromWorker) => void;
  readonly #waiting = new Map<string, PromiseWithResolvers<TakenRelease>>();
  #minute = 0;
  #refusals = 0;

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

  refused(release: string, reason: string): void {
    const minute = Math.floor(this.#clock.now() / 60_000);
    if (minute !== this.#minute) {
      const more = this.#refusals - REFUSALS_A_MINUTE;
      this.#minute = minute;
      this.#refusals = 0;
      if (more > 0) this.#say({ kind: "preview-refused", release: "", reason: `${more} more were refused within a minute` });
    }
    if (++this.#refusals <= REFUSALS_A_MINUTE) this.#say({ kind: "preview-refused", release, reason: reason.slice(0, 1000) });
  }
}
