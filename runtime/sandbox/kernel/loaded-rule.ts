/** A rule as this context holds it. */
import type { Rule } from "../../../sdk/index.ts";
import type { Phase } from "../../compile/release.ts";

export interface LoadedRule {
  /** Its number in the release. */
  readonly index: number;
  readonly name: string;
  readonly hooks: Rule["hooks"];
  readonly vars: unknown;
  readonly secrets: Readonly<Record<string, string>>;
  /** Of one value that crosses, `limits.crossingSize`. */
  readonly crossingBytes: number;
  /** Personal input that it reads before the cache is told. */
  readonly tellsReads: boolean;
  /** Its module keeps nothing from one hook to the next, so that the same input has the same outcome (`compile/stateless.ts`). */
  readonly stateless: boolean;
  /** A function of an experiment: it may look at the request and change nothing. */
  readonly looksOnly: boolean;
  /** Has a hook call of the phase that ran this rule ever waited for something? Not known before the first one. */
  readonly waits: Map<Phase, boolean>;
  /** Lines logged while the module was evaluated; they leave with its first hook. */
  readonly earlyLogs: { level: "debug" | "info" | "warn" | "error"; text: string }[];
}
