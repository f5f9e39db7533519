/**
 * Any stored release at 0 % of the traffic, for whoever shows a signed token: loaded when it is first asked for, a few at a time, each with a
 * cache partition of its own.
 */
import type { Clock } from "../clock.ts";
import type { Release, SourceMaps } from "../compile/release.ts";
import { asGatewayError, GatewayError } from "../errors.ts";
import { readPreview } from "../security/preview-token.ts";
import type { Core } from "./core.ts";
import type { HookTable } from "./hook-plan.ts";

/** Where this worker gets releases that do not serve. */
export interface ReleaseSource {
  /** From the store, checked, as this gateway understands it. Rejects with the reason why it can't be had. */
  take(id: string): Promise<{ readonly release: Release; readonly maps: SourceMaps }>;
  /** For the audit log. `release`: as far as it is known; `address`: from where it was asked for. */
  refused(release: string, reason: string, address: string): void;
}

export interface PreviewDoor {
  /** The release that the token names; the error says why it is refused. `address`: of the peer that shows it. */
  ask(token: string, address: string): HookTable | GatewayError | Promise<HookTable | GatewayError>;
  /** Of the cache. */
  readonly partitions: readonly string[];
}

/** Each is an isolate in two processes. */
const HELD_LIMIT = 3;
/** Exchanges that wait for a release to be loaded. */
const WAITING_LIMIT = 100;
/** What could not be had is not asked for again before this. */
const FAILED_MS = 3000;
const FAILED_LIMIT = 100;

interface Failed {
  readonly error: GatewayError;
  readonly untilMs: number;
}

export class Previews implements PreviewDoor {
  /** What tokens are signed with; "": none is known yet. */
  key = "";
  readonly #core: Core;
  readonly #source: ReleaseSource;
  readonly #clock: Clock;
  /** The least recently used first. */
  readonly #held = new Map<string, HookTable>();
  readonly #loading = new Map<string, Promise<HookTable | GatewayError>>();
  readonly #failed = new Map<string, Failed>();
  #waiting = 0;

  constructor(core: Core, source: ReleaseSource) {
    this.#core = core;
    this.#source = source;
    this.#clock = core.clock;
  }

  get partitions(): readonly string[] {
    return Array.from(this.#held.keys(), partitionOf);
  }

  ask(token: string, address: string): HookTable | GatewayError | Promise<HookTable | GatewayError> {
    if (this.key === "") return new GatewayError("PREVIEW_REFUSED", "this gateway has no key for previews: it takes no releases, or the store was never there");
    const read = readPreview(this.key, token, this.#clock.unixMs());
    if ("refused" in read) {
      const reason = read.refused === "expired" ? "it has expired" : "it is none, was changed, or is signed with the key of other gateways";
      this.#source.refused(read.release, reason, address);
      return new GatewayError("PREVIEW_REFUSED", `the preview token: ${reason}`);
    }
    return this.#tableOf(read.release, address);
  }

  /** What serves now and what runs as canary is there already. */
  #tableOf(id: string, address: string): HookTable | GatewayError | Promise<HookTable | GatewayError> {
    const { table, choice } = this.#core;
    if (table.releaseId === id) return table;
    if (choice !== null && choice.canary.releaseId === id) return choice.canary;
    const held = this.#held.get(id);
    if (held !== undefined) {
      this.#held.delete(id);
      this.#held.set(id, held);
      return held;
    }
    const failed = this.#failed.get(id);
    if (failed !== undefined && failed.untilMs > this.#clock.now()) return failed.error;
    if (this.#waiting >= WAITING_LIMIT) return new GatewayError("SANDBOX_UNAVAILABLE", `${WAITING_LIMIT} requests wait for previewed releases already`);
    let loading = this.#loading.get(id);
    if (loading === undefined) this.#loading.set(id, (loading = this.#load(id, address)));
    this.#waiting++;
    return loading.finally(() => this.#waiting--);
  }

  async #load(id: string, address: string): Promise<HookTable | GatewayError> {
    try {
      const { release, maps } = await this.#source.take(id);
      const table = await this.#core.hold(release, maps);
      table.partition = partitionOf(id);
      table.beside = "preview";
      this.#held.set(id, table);
      this.#makeRoom();
      return table;
    } catch (thrown) {
      const detail = thrown instanceof GatewayError ? thrown.detail : asGatewayError(thrown).message;
      const error = new GatewayError("PREVIEW_UNKNOWN", `release ${id}: ${detail}`, { cause: thrown });
      this.#failed.set(id, { error, untilMs: this.#clock.now() + FAILED_MS });
      if (this.#failed.size > FAILED_LIMIT) this.#failed.delete(this.#failed.keys().next().value!);
      this.#source.refused(id, error.detail, address);
      return error;
    } finally {
      this.#loading.delete(id);
    }
  }

  #makeRoom(): void {
    for (const [id, table] of this.#held) {
      if (this.#held.size <= HELD_LIMIT) return;
      this.#held.delete(id);
      table.retire();
    }
  }
}

/** What exchanges on a release that is not promoted keep in the cache nobody else sees. */
export function partitionOf(release: string): string {
  return `${release}\n`;
}
