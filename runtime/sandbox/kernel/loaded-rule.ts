/** A rule as this context holds it. */
import type { Rule } from "../../../sdk/index.ts";

export interface LoadedRule {
  /** Its number in the release. */
  readonly index: number;
  readonly name: string;
  readonly hooks: Rule["hooks"];
  readonly vars: unknown;
  readonly secrets: Readonly<Record<string, string>>;
  /** Of one value that crosses, `limits.crossingSize`. */
  readonly crossingBytes: number;
  /** Lines logged while the module was evaluated; they leave with its first hook. */
  readonly earlyLogs: { level: "debug" | "info" | "warn" | "error"; text: string }[];
}
