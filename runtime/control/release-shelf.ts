/** The releases in the store: put in once, never changed, the oldest dropped. What comes out is checked again. */
import type { SourceMaps } from "../compile/release.ts";
import type { ReleasesConfig } from "../config/resolved.ts";
import { GatewayError } from "../errors.ts";
import type { Canary, CanaryEnd } from "./canary/canary.ts";
import type { Store } from "../store/store.ts";
import { pack, PackageError, readMaps, readPackage, unpack, type ReleasePackage } from "./release-package.ts";
import { INDEX, KEYS, LIST } from "./scripts/scripts.ts";
import { checkSignature } from "./signatures.ts";

/** What the list says of a release. */
export interface ShelfEntry {
  readonly id: string;
  readonly digest: string;
  readonly author: string;
  readonly message: string;
  readonly commit: string;
  readonly builtUnixMs: number;
  readonly uploadedUnixMs: number;
  readonly rules: readonly string[];
  /** Thumbprint of the key that signed; "": not signed, or by nobody known. */
  readonly signedBy: string;
  readonly codeBytes: number;
}

/** The release that is to serve, and since when. */
export interface Head {
  readonly epoch: number;
  readonly release: string;
  readonly digest: string;
  readonly kind: HeadKind;
  readonly by: string;
  readonly message: string;
  readonly atUnixMs: number;
  /** Number of the rollout that made it head. */
  readonly rollout: number;
  /** What a share of the clients is on beside it. Left out or null: nothing. */
  readonly canary?: Canary | null;
  /** What came of the canary that this head ended. */
  readonly ended?: CanaryEnd;
}

/** `"canary"`: one begins; `"step"`: it takes a larger share; `"promotion"`: it serves; `"canary-end"`: it is taken back. */
export type HeadKind = "deploy" | "rollback" | "canary" | "step" | "promotion" | "canary-end";

export interface Shelf {
  readonly releases: readonly ShelfEntry[];
  /** Newest first. */
  readonly history: readonly Head[];
}

export interface Taken {
  readonly release: ReleasePackage;
  readonly maps: SourceMaps;
  readonly signedBy: string;
}

const STORE_TRIES = 8;

export class ReleaseShelf {
  readonly #store: () => Store;
  readonly #config: () => ReleasesConfig;
  readonly #unixMs: () => number;

  constructor(store: () => Store, config: () => ReleasesConfig, unixMs: () => number) {
    this.#store = store;
    this.#config = config;
    this.#unixMs = unixMs;
  }

  /** Checks what a stranger handed in, and keeps it. `fresh`: it was not there before. Throws a `PackageError`. */
  async put(value: unknown, mapsValue: unknown): Promise<{ readonly entry: ShelfEntry; readonly fresh: boolean }> {
    const release = readPackage(value);
    const maps = readMaps(mapsValue, release);
    const signedBy = await checkSignature(release, this.#config(), this.#unixMs());
    const { id } = release.release;
    const shelf = await this.list();
    const there = shelf.releases.find((entry) => entry.id === id);
    if (there !== undefined && there.digest !== release.digest) throw new PackageError(`${id} is there with another content (${there.digest.slice(0, 20)}…)`);
    // What is there stays as it is, unless it is damaged, or comes with a signature that it lacked.
    if (there !== undefined && (signedBy === "" || signedBy === there.signedBy) && (await this.#isSound(id))) return { entry: there, fresh: false };
    const entry = await this.#keep({ release, maps, signedBy }, shelf);
    return { entry, fresh: there === undefined };
  }

  async #isSound(id: string): Promise<boolean> {
    try {
      return (await this.take(id)) !== null;
    } catch (thrown) {
      if (thrown instanceof PackageError) return false;
      throw thrown;
    }
  }

  /** Full stores drop their oldest releases first. */
  async #write(id: string, release: Buffer, maps: Buffer, shelf: Shelf): Promise<void> {
    const stays = new Set(standing(shelf));
    const old = shelf.releases.filter((entry) => !stays.has(entry.id) && entry.id !== id).map((entry) => entry.id);
    for (let tries = 1; ; tries++) {
      try {
        await this.#store().set(releaseKey(id), release, { ttlMs: null, durable: true });
        await this.#store().set(mapsKey(id), maps, { ttlMs: null, durable: true });
        return;
      } catch (thrown) {
        const dropped = old.splice(0, Math.max(1, Math.ceil(old.length / 4)));
        if (!(thrown instanceof GatewayError) || thrown.code !== "STORE_FULL" || dropped.length === 0 || tries === STORE_TRIES) throw thrown;
        await this.#forget(dropped);
      }
    }
  }

  async #enter(entry: ShelfEntry, kept: number, shelf: Shelf): Promise<void> {
    const { id, ...rest } = entry;
    const dropped = await this.#store().run(INDEX, [KEYS.releases], [id, JSON.stringify(rest), kept, ...standing(shelf)]);
    await this.#forget(dropped.map(String));
  }

  async #forget(ids: readonly string[]): Promise<void> {
    if (ids.length > 0) await this.#store().delete(ids.flatMap((id) => [releaseKey(id), mapsKey(id)]));
  }

  /** As it was put in: digests and signature hold. Null: it is not there. Throws a `PackageError`. */
  async take(id: string): Promise<Taken | null> {
    const [packed, packedMaps] = await this.#store().getMany([releaseKey(id), mapsKey(id)]);
    if (packed === null || packed === undefined) return null;
    const release = readPackage(await unpack(packed));
    if (release.release.id !== id) throw new PackageError(`it is ${release.release.id}`);
    const maps = packedMaps === null || packedMaps === undefined ? {} : readMaps(await unpack(packedMaps), release);
    return { release, maps, signedBy: await checkSignature(release, this.#config(), this.#unixMs()) };
  }

  async list(): Promise<Shelf> {
    const [count, ...lines] = await this.#store().run(LIST, [KEYS.releases, KEYS.history], []);
    return {
      releases: lines.slice(0, Number(count)).map((line) => {
        const [id, json] = splitOnce(String(line));
        return Object.assign(JSON.parse(json) as Omit<ShelfEntry, "id">, { id });
      }),
      history: lines.slice(Number(count)).flatMap((line) => headOf(String(line)) ?? []),
    };
  }

  /** A gateway that still has it gives it back to a store that was emptied. */
  async giveBack(taken: Taken): Promise<void> {
    await this.#keep(taken, await this.list());
  }

  async #keep(taken: Taken, shelf: Shelf): Promise<ShelfEntry> {
    const entry = entryOf(taken, this.#unixMs());
    await this.#write(entry.id, await pack(taken.release), await pack(taken.maps), shelf);
    await this.#enter(entry, this.#config().kept, shelf);
    return entry;
  }
}

function entryOf({ release, signedBy }: Taken, uploadedUnixMs: number): ShelfEntry {
  const { digest, author, message, commit, builtUnixMs } = release;
  const { id, rules } = release.release;
  return {
    id,
    digest,
    author,
    message,
    commit,
    builtUnixMs,
    uploadedUnixMs,
    rules: rules.map(({ manifest }) => manifest.name),
    signedBy,
    codeBytes: rules.reduce((sum, { code }) => sum + Buffer.byteLength(code), 0),
  };
}

/** What serves, what served before it and a canary are never dropped: they are needed at once. */
function standing({ history }: Shelf): string[] {
  const canary = history[0]?.canary?.release;
  return [...new Set(history.map(({ release }) => release))].slice(0, 2).concat(canary ?? []);
}

/** Null: there is none yet. */
export function headOf(line: string): Head | null {
  if (line === "") return null;
  const [epoch, json] = splitOnce(line);
  return { ...(JSON.parse(json) as Omit<Head, "epoch">), epoch: Number(epoch) };
}

export function splitOnce(line: string): [string, string] {
  const end = line.indexOf(" ");
  return end === -1 ? [line, ""] : [line.slice(0, end), line.slice(end + 1)];
}

function releaseKey(id: string): string {
  return `control:release:${id}`;
}
function mapsKey(id: string): string {
  return `control:maps:${id}`;
}
