/** Gateways as the store sees them: real followers, rollouts and shelves over one store, with seats that only remember what they were told. */
import type { TestContext } from "node:test";
import { releaseId } from "../../runtime/compile/compile.ts";
import type { Release } from "../../runtime/compile/release.ts";
import { resolveConfig } from "../../runtime/config/config.ts";
import type { CanaryConfig, ReleasesConfig } from "../../runtime/config/resolved.ts";
import { type Clock, systemClock } from "../../runtime/clock.ts";
import type { AuditFacts } from "../../runtime/control/audit.ts";
import { Steward, type OwnCounts } from "../../runtime/control/canary/steward.ts";
import { type CanaryShare, Follower } from "../../runtime/control/follower.ts";
import type { LastGood } from "../../runtime/control/last-good.ts";
import { PackageError, packageOf, type ReleasePackage } from "../../runtime/control/release-package.ts";
import { ReleaseShelf } from "../../runtime/control/release-shelf.ts";
import { Rollouts, type Rollout, type RolloutOrder, type RolloutRefusal } from "../../runtime/control/rollouts.ts";
import type { Store } from "../../runtime/store/store.ts";
import { until } from "../support/until.ts";

export const CANARY: CanaryConfig = resolveConfig({ upstreams: { a: { targets: ["http://127.0.0.1:9"] } } }, { baseDir: "/", file: "" }).releases.canary;
export const UNSIGNED: ReleasesConfig = { requireSigned: false, keys: [], kept: 100, canary: CANARY };

export const NO_CONFIG = { upstreams: {} };

export interface Member {
  readonly name: string;
  readonly follower: Follower;
  readonly rollouts: Rollouts;
  readonly steward: Steward;
  readonly shelf: ReleaseShelf;
  readonly audited: AuditFacts[];
  /** What the seat was told, in order. */
  readonly told: string[];
  /** Id of the release that serves. */
  serves(): string;
  /** What runs beside it. */
  canary(): CanaryShare | null;
  /** As on its disk. */
  kept(): LastGood | null;
  /** From now on it takes nothing, and says this. */
  refuseWith(reason: string): void;
  close(): Promise<void>;
}

export interface MemberOptions {
  readonly releases?: ReleasesConfig;
  readonly begun?: LastGood | null;
  /** What it counted of the canary at a step. */
  readonly counts?: (step: number) => OwnCounts;
  /** Of the follower alone: when it tries again. */
  readonly clock?: Clock;
  /** Why its listeners do not answer with a release; "". */
  readonly probe?: (release: string) => string;
}

export function releaseOf(code: string): Release {
  const manifest = { name: "a.ts", order: 0, when: [], phases: [], secrets: [], onFailure: "closed" as const, services: [], hosts: [], readsBody: false };
  const rules = [{ manifest, code }];
  return { id: releaseId(rules, NO_CONFIG), format: 1, rules };
}

export function packed(code: string, message = ""): ReleasePackage {
  return packageOf(releaseOf(code), NO_CONFIG, {}, { author: "somebody", message, commit: "", builtUnixMs: 1 });
}

export function member(
  t: TestContext,
  store: Store,
  name: string,
  { releases = UNSIGNED, begun = null, counts = () => ({ counts: null, missing: "" }), clock = systemClock, probe = () => "" }: MemberOptions = {},
): Member {
  const told: string[] = [];
  const audited: AuditFacts[] = [];
  let serves = begun?.release.release ?? releaseOf("begun with");
  let kept = begun;
  let refusal = "";
  let canary: { readonly share: CanaryShare; readonly release: Release } | null = null;
  const shelf = new ReleaseShelf(
    () => store,
    () => releases,
    () => systemClock.unixMs(),
  );
  const audit = (facts: AuditFacts): void => void audited.push(facts);
  const follower = new Follower({
    name,
    facts: { host: name, pid: 1, version: "0", startedUnixMs: 0 },
    store,
    shelf,
    clock,
    begun,
    audit,
    log: () => undefined,
    keep: async (good) => void (kept = good),
    seat: {
      current: () => serves,
      inspect: async ({ release }) => {
        if (refusal !== "") throw new PackageError(refusal);
        return release.release;
      },
      prepare: async ({ id }) => void told.push(`prepare ${id}`),
      activate: async (release) => {
        told.push(`activate ${release.id}`);
        serves = release;
      },
      discard: async () => void told.push("discard"),
      inspectBeside: async ({ release }) => {
        if (refusal !== "") throw new PackageError(refusal);
        return release.release;
      },
      canary: () => canary?.share ?? null,
      runCanary: async (release, { release: taken }, share) => {
        told.push(`canary ${share.release} ${share.share}${release === null ? "" : " new"}`);
        canary = { share, release: release ?? taken.release };
      },
      endCanary: async () => {
        told.push("end canary");
        canary = null;
      },
      promoteCanary: async () => {
        told.push(`promote ${canary!.share.release}`);
        serves = canary!.release;
        canary = null;
      },
      probe: async (release) => probe(release),
    },
  });
  const rollouts = new Rollouts({ store, shelf, follower, clock: systemClock, audit });
  const steward = new Steward({ store, follower, rollouts, clock: systemClock, audit, log: () => undefined, counts });
  let closed = false;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    steward.close();
    rollouts.close();
    await follower.close();
  };
  t.after(close);
  return {
    name,
    follower,
    rollouts,
    steward,
    shelf,
    audited,
    told,
    serves: () => serves.id,
    canary: () => canary?.share ?? null,
    kept: () => kept,
    refuseWith: (reason) => void (refusal = reason),
    close,
  };
}

/** Resolves with the rollout at its end, or the refusal. */
export async function rolledOut(leader: Member, order: Partial<RolloutOrder> & Pick<RolloutOrder, "release" | "base">): Promise<Rollout | RolloutRefusal> {
  const begun = await leader.rollouts.begin({ kind: "deploy", dryRun: false, by: "tester", message: "", timeoutMs: 10_000, ...order });
  if ("refused" in begun) return begun;
  await until(() => begun.state !== "preparing" && begun.state !== "active");
  return begun;
}
