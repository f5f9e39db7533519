/** With which release a gateway starts: the one that is deployed, as the store says or as it was last served from this disk. */
import path from "node:path";
import type { Clock } from "../clock.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import type { Audit } from "../control/audit.ts";
import { Board } from "../control/board.ts";
import { shareOf } from "../control/canary/canary.ts";
import { LAST_GOOD_FILE, readLastGood, writeLastGood, type LastGood } from "../control/last-good.ts";
import { PackageError } from "../control/release-package.ts";
import type { Head, ReleaseShelf, Taken } from "../control/release-shelf.ts";
import type { CanaryStart } from "../proxy/worker.ts";
import type { Store } from "../store/store.ts";
import type { Plan, Served } from "./fleet.ts";
import type { ReleaseInspections } from "./release-inspections.ts";
import { reasonOf, StartError } from "./start-error.ts";

export interface FirstReleaseParts {
  readonly audit: Audit;
  readonly clock: Clock;
  readonly config: () => ResolvedConfig;
  readonly log: (level: "info" | "warn" | "error", event: string, facts: Readonly<Record<string, unknown>>) => void;
  readonly store: Store;
  readonly shelf: ReleaseShelf;
  readonly inspections: ReleaseInspections;
  /** Gives what all gateways of the store sign previews and draw canaries with. */
  readonly agree: () => Promise<string>;
}

interface Found {
  readonly good: LastGood;
  readonly served: Served & Pick<Plan, "canary">;
}

/** How long a start waits for the store to say what serves. */
const STORE_WAIT_MS = 3_000;

export class FirstRelease {
  readonly #parts: FirstReleaseParts;
  /** Why what was deployed could not be had; "": nothing was in the way. */
  #trouble = "";

  constructor(parts: FirstReleaseParts) {
    this.#parts = parts;
  }

  /**
   * The release that is deployed: as the store says, else the last good one on this disk. Null: none was ever deployed. Throws when one was and cannot be had:
   * what lies in the rules folder may be older, or nothing, and whoever was kept out by a rule must not come in because a disk or a store failed.
   */
  async find(): Promise<Found | null> {
    const kept = await this.#lastGood();
    const head = await this.#head();
    const newer = head !== null && head.epoch > (kept?.head.epoch ?? 0) ? await this.#take(head) : null;
    // Where the newest cannot be served the last good one is, until the follower has it.
    for (const begun of [newer, kept]) {
      const served = begun === null ? null : await this.#servable(begun);
      if (served === null) continue;
      const canary = await this.#canaryOf(begun!, served.config);
      const good = { ...begun!, canary: canary?.taken ?? null };
      if (begun === newer || (canary !== null && !begun!.canary)) await this.#keep(good);
      return { good, served: { ...served, maps: good.maps, ...(canary === null ? {} : { canary: canary.start }) } };
    }
    if (this.#trouble !== "") throw this.#cannotServe();
    return null;
  }

  async #servable(good: LastGood): Promise<Pick<Served, "release" | "config"> | null> {
    try {
      return await this.#parts.inspections.toServe(good, false);
    } catch (thrown) {
      this.#refused(good.head, reasonOf(thrown));
      return null;
    }
  }

  #cannotServe(): StartError {
    const file = path.join(this.#parts.config().stateDir, LAST_GOOD_FILE);
    return new StartError([
      `what was deployed here cannot be served (${this.#trouble}), and the rules folder does not stand in for it: it may be older, or lack what keeps strangers out`,
      `mend what the reason names and start again, or reach a store that has it; to begin from the rules folder instead, remove ${file} while no store tells of a deployed release`,
    ]);
  }

  /** For a start with the store away. One that cannot be written is no reason not to serve. */
  async #keep(good: LastGood): Promise<void> {
    try {
      await writeLastGood(this.#parts.config().stateDir, good);
    } catch (thrown) {
      this.#parts.log("error", "last-good-not-kept", { reason: reasonOf(thrown) });
    }
  }

  /** The canary that it starts with, if one runs and can be had. */
  async #canaryOf({ head, canary }: LastGood, config: ResolvedConfig): Promise<{ readonly taken: Taken; readonly start: CanaryStart } | null> {
    if (!head.canary) return null;
    try {
      const taken = canary ?? (await this.#parts.shelf.take(head.canary.release));
      if (taken === null || taken.release.digest !== head.canary.digest) throw new PackageError("it is not in the store");
      const release = await this.#parts.inspections.beside(taken, config);
      const { tag, release: id } = head.canary;
      const terms = { release: id, tag, share: shareOf(head.canary), step: head.epoch, key: await this.#parts.agree() };
      return { taken, start: { release, maps: taken.maps, terms } };
    } catch (thrown) {
      // Tried again by the follower.
      this.#parts.log("error", "canary-not-taken", { release: head.canary.release, epoch: head.epoch, reason: reasonOf(thrown) });
      return null;
    }
  }

  async #lastGood(): Promise<LastGood | null> {
    const { stateDir, releases } = this.#parts.config();
    try {
      return await readLastGood(stateDir, releases);
    } catch (thrown) {
      const reason = `the last good release on this disk: ${reasonOf(thrown)}`;
      this.#trouble = reason;
      this.#parts.log("error", "last-good-refused", { reason });
      this.#parts.audit.note({ actor: "gateway", action: "start", outcome: "refused", reason, facts: {} });
      return null;
    }
  }

  async #head(): Promise<Head | null> {
    const { clock, log, store } = this.#parts;
    if (store.health().state !== "ready") {
      let end = (): void => undefined;
      await new Promise<void>((resolve) => {
        end = store.onHealth(({ state }) => {
          if (state === "ready") resolve();
        });
        clock.after(STORE_WAIT_MS, resolve);
      });
      end();
    }
    try {
      const { head } = await new Board(() => store).look("", null);
      if (head !== null) await this.#parts.agree();
      return head;
    } catch (thrown) {
      log("warn", "control-store", { reason: reasonOf(thrown), text: "starting without word from the store on what is deployed" });
      return null;
    }
  }

  async #take(head: Head): Promise<LastGood | null> {
    try {
      const taken = await this.#parts.shelf.take(head.release);
      if (taken === null) throw new PackageError("it is not in the store");
      if (taken.release.digest !== head.digest) throw new PackageError("the store has another content under its id");
      return { head, ...taken };
    } catch (thrown) {
      this.#refused(head, reasonOf(thrown));
      return null;
    }
  }

  #refused({ release, epoch }: Head, reason: string): void {
    this.#trouble = `release ${release} of epoch ${epoch}: ${reason}`;
    this.#parts.log("error", "release-not-taken", { release, epoch, reason });
    this.#parts.audit.note({ actor: "gateway", action: "start with", outcome: "refused", reason, facts: { release, epoch } });
  }
}
