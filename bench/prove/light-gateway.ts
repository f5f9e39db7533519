/** A gateway of `fleet-of-100.ts`: its own connection to Redis, its own follower, shelf and rollouts, as a real one has them; workers that only remember. */
import { systemClock } from "../../runtime/clock.ts";
import { releaseId } from "../../runtime/compile/compile.ts";
import type { Release } from "../../runtime/compile/release.ts";
import { resolveConfig } from "../../runtime/config/config.ts";
import { Follower } from "../../runtime/control/follower.ts";
import { PackageError, packageOf, type ReleasePackage } from "../../runtime/control/release-package.ts";
import { ReleaseShelf } from "../../runtime/control/release-shelf.ts";
import { Rollouts, type Rollout } from "../../runtime/control/rollouts.ts";
import { openStore, type Store } from "../../runtime/store/store.ts";

export interface LightGateway {
  readonly name: string;
  readonly shelf: ReleaseShelf;
  readonly follower: Follower;
  readonly rollouts: Rollouts;
  readonly store: Store;
  /** Id of the release that serves. */
  serves(): string;
  /** From now on it takes no release; "": it does again. */
  refuseWith(reason: string): void;
  close(): Promise<void>;
}

const RULES = 20;
const RULE_BYTES = 4_096;
const CONFIG = { upstreams: { site: { targets: ["http://127.0.0.1:9"] } } };

export async function startLightGateway(name: string, redis: string): Promise<LightGateway> {
  const { store: config, releases } = resolveConfig({ ...CONFIG, store: { redis, timeout: "5s" } }, { baseDir: "/", file: "" });
  const { store } = await openStore({ config, clock: systemClock, gateway: name, member: false, requestPipe: () => undefined, warn: () => undefined });
  let serves = releasePackage("begun with").release;
  let refusal = "";
  const shelf = new ReleaseShelf(
    () => store,
    () => releases,
    () => systemClock.unixMs(),
  );
  const follower = new Follower({
    name,
    facts: { host: name, pid: process.pid, version: "0", startedUnixMs: systemClock.unixMs() },
    store,
    shelf,
    clock: systemClock,
    begun: null,
    keep: async () => undefined,
    audit: () => undefined,
    log: () => undefined,
    seat: {
      current: () => serves,
      inspect: async (taken) => {
        if (refusal !== "") throw new PackageError(refusal);
        return taken.release.release;
      },
      prepare: async () => undefined,
      activate: async (release: Release) => void (serves = release),
      discard: async () => undefined,
      inspectBeside: async (taken) => taken.release.release,
      canary: () => null,
      runCanary: async () => undefined,
      endCanary: async () => undefined,
      promoteCanary: async () => undefined,
      probe: async () => "",
    },
  });
  const rollouts = new Rollouts({ store, shelf, follower, clock: systemClock, audit: () => undefined });
  return {
    name,
    shelf,
    follower,
    rollouts,
    store,
    serves: () => serves.id,
    refuseWith: (reason) => void (refusal = reason),
    async close() {
      rollouts.close();
      await follower.close();
      await store.close();
    },
  };
}

/** As large as one of real rules. */
export function releasePackage(word: string): ReleasePackage {
  const rules = Array.from({ length: RULES }, (_, i) => {
    const manifest = {
      name: `rule-${i}.ts`,
      order: i,
      when: [],
      phases: [],
      secrets: [],
      onFailure: "closed" as const,
      services: [],
      hosts: [],
      readsBody: false,
    };
    return { manifest, code: `// ${word} ${i}\n`.padEnd(RULE_BYTES, "x") };
  });
  const release: Release = { id: releaseId(rules, CONFIG), format: 1, rules };
  return packageOf(release, CONFIG, {}, { author: "prove", message: word, commit: "", builtUnixMs: 1 });
}

/** Hands the release in at `leader` and leads it there to its end. */
export async function rollOutFrom(leader: LightGateway, word: string, timeoutMs: number): Promise<Rollout & { readonly tookMs: number }> {
  const handed = releasePackage(word);
  await leader.shelf.put(handed, {});
  const { head } = await leader.follower.board.look("", null);
  const startedMs = performance.now();
  const begun = await leader.rollouts.begin({
    release: handed.release.id,
    base: head?.epoch ?? 0,
    kind: "deploy",
    dryRun: false,
    by: "prove",
    message: word,
    timeoutMs,
  });
  if ("refused" in begun) throw new Error(`the rollout was refused: ${begun.refused}`);
  while (begun.state === "preparing" || begun.state === "active") await new Promise((resolve) => setTimeout(resolve, 5));
  return { ...begun, tookMs: performance.now() - startedMs };
}
