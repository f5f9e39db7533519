/** What makes a release itself: the digest of its rules and routes. */
import { createHash } from "node:crypto";
import type { RouteConfig } from "../config/resolved.ts";
import { EMPTY_RELEASE, type RuleModule } from "./release.ts";

const ID_DIGITS = 12;

/** SHA-256, in hex, over canonical JSON: keys in the order written here, rules in running order. The same before and after a way through JSON. */
export function releaseDigest(rules: readonly RuleModule[], routes: readonly RouteConfig[]): string {
  const canonical = JSON.stringify({ format: 1, rules: rules.map(({ manifest, code }) => [canonicalValue(manifest), code]), routes: canonicalValue(routes) });
  return createHash("sha256").update(canonical).digest("hex");
}

/** The first digits of the digest; what has neither rules nor routes is the empty release. */
export function releaseId(rules: readonly RuleModule[], routes: readonly RouteConfig[]): string {
  if (rules.length === 0 && routes.length === 0) return EMPTY_RELEASE.id;
  return releaseDigest(rules, routes).slice(0, ID_DIGITS);
}

/** Equal for equal content: members sorted, those that are undefined left out. */
export function canonicalJson(value: unknown): string {
  return JSON.stringify(canonicalValue(value));
}

function canonicalValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonicalValue);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, member]) => [key, canonicalValue(member)]),
  );
}
