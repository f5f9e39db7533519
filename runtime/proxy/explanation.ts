/** What `sluice explain` asks and is told: plain data on its way from a worker to whoever reads. */
import type { Phase } from "../compile/release.ts";
import type { MatchSpec } from "./match/match.ts";

export interface ExplainAsk {
  readonly method: string;
  readonly scheme: "http" | "https";
  /** Host and port, lowercase. */
  readonly authority: string;
  /** Origin-form. */
  readonly target: string;
  /** Name, value, name, value, … Names in lowercase. */
  readonly headers: readonly string[];
  /** The address that asks. */
  readonly client: string;
  /** In place of where that address is. Of an explanation: where the client counts as being, or "". */
  readonly country?: string;
}

export interface ExplainedRule {
  readonly name: string;
  readonly order: number;
  readonly when: readonly MatchSpec[];
  /** Phase → `file:line:column` of its hook. */
  readonly hooks: Readonly<Partial<Record<Phase, string>>>;
}

/** One change that a rule made. Values that are no text (a body) are told by their length. */
export interface ExplainedEffect {
  readonly what: string;
  readonly before: string | null;
  readonly after: string | null;
  /** `file:line:column`, or "" when nothing tells it. */
  readonly place: string;
}

export type ExplainStep =
  | {
      readonly step: "hook";
      readonly rule: string;
      readonly phase: Phase;
      /** Of the hook. */
      readonly place: string;
      readonly outcome: "next" | "answer" | "failed-closed" | "failed-open";
      readonly cpuUs: number;
      readonly effects: readonly ExplainedEffect[];
      readonly logs: readonly { readonly level: string; readonly text: string }[];
      /** Services that it called, and what it was told instead. */
      readonly calls: readonly { readonly service: string; readonly asked: string; readonly told: string }[];
      readonly failure: { readonly kind: string; readonly message: string; readonly stack: string } | null;
    }
  /** Experiments that act on the request. */
  | {
      readonly step: "experiments";
      readonly variants: readonly {
        readonly experiment: string;
        readonly variant: string;
        readonly reason: string;
        readonly why: string;
        readonly counted: boolean;
      }[];
    }
  | { readonly step: "limits"; readonly route: number; readonly limits: readonly string[]; readonly why: string }
  | { readonly step: "cache"; readonly decision: string; readonly why: string; readonly key: string }
  | {
      readonly step: "upstream";
      readonly route: number;
      readonly match: readonly MatchSpec[];
      readonly upstream: string;
      readonly why: string;
      readonly targets: readonly string[];
      /** What the origin would get. */
      readonly method: string;
      readonly target: string;
      readonly headers: readonly string[];
    }
  /** The answer that the rules behind the origin are shown, because nobody asks the origin. */
  | { readonly step: "assumed"; readonly status: number }
  | {
      readonly step: "response";
      readonly status: number;
      readonly from: string;
      readonly code: string;
      readonly detail: string;
      readonly headers: readonly string[];
    };

export interface Explanation {
  readonly release: string;
  /** It runs beside the one that serves; "": it is the one. */
  readonly beside: "" | "canary" | "preview";
  readonly request: ExplainAsk;
  /** In running order; `onResponse` runs in the opposite one. */
  readonly matched: readonly ExplainedRule[];
  readonly unmatched: readonly string[];
  readonly steps: readonly ExplainStep[];
}
