/** What makes a release itself: the digest of its rules and of the config that goes with them. */
import { createHash } from "node:crypto";
import type { SharedConfig } from "../config/schema.ts";
import type { RuleModule } from "./release.ts";

const ID_DIGITS = 12;

/** SHA-256, in hex, over canonical JSON: keys in the order written here, rules in running order. The same before and after a way through JSON. */
export function releaseDigest(rules: readonly RuleModule[], config: SharedConfig): string {
  const canonical = JSON.stringify({ format: 2, rules: rules.map(({ manifest, code }) => [canonicalValue(manifest), code]), config: canonicalValue(config) });
  return createHash("sha256").update(canonical).digest("hex");
}

/** The first digits of the digest. */
export function releaseId(rules: readonly RuleModule[], config: SharedConfig): string {
  return releaseDigest(rules, config).slice(0, ID_DIGITS);
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
