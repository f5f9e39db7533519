/** Which exchanges of a worker are watched, and by whom: for recordings, for a shadow release, or both at once. */
import { createHmac } from "node:crypto";
import type { ResolvedConfig } from "../config/resolved.ts";
import { Recordings } from "../observe/recordings/recordings.ts";
import type { Core } from "./core.ts";
import { Recorder, type RecorderStatus } from "./recorder.ts";
import { Witness } from "./witness.ts";

export interface Watcher {
  wants(id: string): boolean;
  take(witness: Witness): void;
}

export interface WatchStatus {
  /** Left out: nothing is recorded. */
  readonly recording?: RecorderStatus;
}

export class Watching {
  readonly #core: Core;
  readonly #recorder: Recorder | null;
  #shadow: Watcher | null = null;

  /** `secret`: the gateway's own, from which the key for recordings is made. Left out: nothing is recorded. */
  constructor(core: Core, { record }: ResolvedConfig, secret: string | undefined) {
    this.#core = core;
    const { clock, observer, store } = core;
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

  set shadow(shadow: Watcher | null) {
    this.#shadow = shadow;
    this.#set();
  }

  status(): WatchStatus {
    return this.#recorder === null ? {} : { recording: this.#recorder.status() };
  }

  async close(): Promise<void> {
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
