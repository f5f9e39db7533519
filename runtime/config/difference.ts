/** What differs between two configs as they were written, key by key. Pure. */
import { shown } from "./problems.ts";
import type { SharedConfig } from "./schema.ts";

export interface ConfigChange {
  /** `limits.headTimeout`, `upstreams.shop.targets`, `rateLimits.per-client.rate`. */
  readonly key: string;
  readonly how: "added" | "removed" | "changed";
  /** As JSON, cut when it is long; "" when it was not written. */
  readonly before: string;
  readonly after: string;
}

/** `except`: keys of the whole that are compared otherwise. */
export function configChanges(before: SharedConfig, after: SharedConfig, except: readonly (keyof SharedConfig)[] = []): ConfigChange[] {
  const rest = (config: SharedConfig): object => Object.fromEntries(Object.entries(config).filter(([key]) => !(except as readonly string[]).includes(key)));
  return changesAt("", rest(before), rest(after));
}

function changesAt(key: string, before: unknown, after: unknown): ConfigChange[] {
  const [old, now] = [membersOf(before), membersOf(after)];
  if (old !== null && now !== null)
    return [...new Set([...old.keys(), ...now.keys()])].flatMap((name) => changesAt(key === "" ? name : `${key}.${name}`, old.get(name), now.get(name)));
  if (after === undefined) return [{ key, how: "removed", before: shown(before), after: "" }];
  if (before === undefined) {
    // A whole part that is new is told by its keys too.
    if (now !== null && now.size > 0) return [...now].flatMap(([name, value]) => changesAt(`${key}.${name}`, undefined, value));
    return [{ key, how: "added", before: "", after: shown(after) }];
  }
  return JSON.stringify(sorted(before)) === JSON.stringify(sorted(after)) ? [] : [{ key, how: "changed", before: shown(before), after: shown(after) }];
}

/** Null for what is compared as a whole. A list of things with names is compared name by name; another order of them alone counts as no change. */
function membersOf(value: unknown): Map<string, unknown> | null {
  if (typeof value !== "object" || value === null) return null;
  if (!Array.isArray(value)) return new Map(Object.entries(value));
  const named = (value as unknown[]).map((item): [unknown, unknown] => [(item as { name?: unknown } | null)?.name, item]);
  const names = new Set(named.map(([name]) => name));
  if (named.length === 0 || names.size < named.length || [...names].some((name) => typeof name !== "string")) return null;
  return new Map(named as [string, unknown][]);
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, sorted(member)]),
  );
}
