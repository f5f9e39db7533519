/** Which exchanges of a worker are watched, and by whom: for recordings, for a shadow release, or both at once. */
import { createHmac } from "node:crypto";
import type { ResolvedConfig } from "../config/resolved.ts";
import { Recordings } from "../observe/recordings/recordings.ts";
import type { Core } from "./core.ts";
import { Recorder, type RecorderStatus } from "./recorder.ts";
import { Shadow, type ShadowOrder, type ShadowParts } from "./shadow.ts";
import type { ShadowStatus } from "./shadow-status.ts";
import { Witness } from "./witness.ts";

export interface WatchStatus {
  /** Left out: nothing is recorded. */
  readonly recording?: RecorderStatus;
  /** Left out: there is none. */
  readonly shadow?: ShadowStatus;
}

export class Watching {
  readonly #core: Core;
  readonly #recorder: Recorder | null;
  #shadow: Shadow | null = null;
  readonly #shadowParts: ShadowParts;
  /** One order after the other. */
  #orders: Promise<void> = Promise.resolve();

  /** `secret`: the gateway's own, from which the key for recordings is made. Left out: nothing is recorded. */
  constructor(core: Core, { record }: ResolvedConfig, secret: string | undefined, shadowParts: Omit<ShadowParts, "clock" | "countries" | "warn">) {
    this.#core = core;
    const { clock, observer, store } = core;
    this.#shadowParts = { ...shadowParts, clock, countries: core.countries, warn: (text) => observer.note("warn", "shadow", { text }) };
    this.#recorder =
      record.share === 0 || secret === undefined
        ? null
        : new Recorder({
            config: record,
            recordings: new Recordings(
              () => store,
              () => clock.unixMs(),
            ),
            key: createHmac("sha256", secret).update("sluice-recordings.v1").digest("hex"),
            clock,
            warn: (text) => observer.note("warn", "recordings", { text }),
          });
    this.#set();
  }

  /** In place of the one that there is; null: none. Rejects with the reason when it does not load; then there is none. */
  shadow(order: ShadowOrder | null): Promise<void> {
    const done = this.#orders.then(async () => {
      const last = this.#shadow;
      this.#shadow = null;
      this.#set();
      await last?.close();
      if (order === null) return;
      this.#shadow = await Shadow.open(order, this.#shadowParts);
      this.#set();
    });
    this.#orders = done.catch(() => undefined);
    return done;
  }

  status(): WatchStatus {
    return {
      ...(this.#recorder === null ? {} : { recording: this.#recorder.status() }),
      ...(this.#shadow === null ? {} : { shadow: this.#shadow.status() }),
    };
  }

  async close(): Promise<void> {
    await this.shadow(null);
    this.#core.witness = null;
    await this.#recorder?.close();
  }

  #set(): void {
    const core = this.#core;
    const recorder = this.#recorder;
    const shadow = this.#shadow;
    if (recorder === null && shadow === null) {
      core.witness = null;
      return;
    }
    core.witness = (life) => {
      const recorded = recorder?.wants(life.id) === true;
      // Compared is what serves: not a canary, not a preview.
      const shadowed = shadow !== null && life.table === core.table && shadow.wants(life.id);
      if (!recorded && !shadowed) return null;
      return new Witness(life, (witness) => {
        if (recorded) recorder.take(witness);
        if (shadowed) shadow.take(witness);
      });
    };
  }
}
