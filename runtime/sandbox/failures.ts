/** What went wrong with a rule, from the sandbox's words to the error table's. */
import { GatewayError, type ErrorCode } from "../errors.ts";
import { parsed } from "./apply-effects.ts";
import type { HeldRelease } from "./held-release.ts";
import type { RuleFailure } from "./protocol.ts";
import type { Death } from "./sandbox-process.ts";

const CODES: Readonly<Record<RuleFailure["kind"], ErrorCode>> = {
  threw: "RULE_THREW",
  cpu: "RULE_CPU",
  wall: "RULE_WALL",
  memory: "RULE_MEMORY",
  calls: "RULE_CALLS",
  effect: "RULE_EFFECT",
  refused: "SERVICE_REFUSED",
  body: "BODY_TOO_LARGE",
  lost: "RULE_MEMORY",
};
const MAX_MESSAGE_UNITS = 2000;

export interface Failure {
  readonly kind: string;
  readonly message: string;
  readonly stack: string;
}

/** `json` is a stranger's: whatever does not fit is replaced, never trusted. The stack comes out mapped. */
export function failureFrom(json: string, held: HeldRelease): Failure & { readonly rule: number } {
  const value = parsed(json) as Partial<Record<keyof RuleFailure, unknown>> | null;
  const text = (member: unknown): string => (typeof member === "string" ? member.slice(0, MAX_MESSAGE_UNITS * 4) : "");
  const kind = text(value?.kind);
  return {
    kind: Object.hasOwn(CODES, kind) ? kind : "threw",
    message: text(value?.message).slice(0, MAX_MESSAGE_UNITS),
    stack: held.stacks.map(text(value?.stack)),
    rule: typeof value?.rule === "number" ? value.rule : -1,
  };
}

export function errorOf(failure: Failure, rule: string): GatewayError {
  const place = /\n\s*at (.*)/.exec(failure.stack)?.[1];
  return new GatewayError(
    CODES[failure.kind as RuleFailure["kind"]] ?? "RULE_THREW",
    `${rule}: ${failure.message}${place === undefined ? "" : ` (at ${place})`}`,
  );
}

/** For a rule that was alone when its sandbox died. */
export function failureByDeath(death: Death): Failure {
  return { kind: death.cause === "silent" ? "cpu" : "memory", message: `it was alone in a sandbox process that ended twice: ${death.reason}`, stack: "" };
}

const KINDS = new Map<ErrorCode, RuleFailure["kind"]>([
  ["RULE_CALLS", "calls"],
  ["SERVICE_REFUSED", "refused"],
  ["RULE_EFFECT", "effect"],
  ["BODY_TOO_LARGE", "body"],
]);

export function kindOfRefusal(error: GatewayError): RuleFailure["kind"] {
  return KINDS.get(error.code) ?? "threw";
}

/** JSON for a REPLY that rejects. The rule reads code and detail. */
export function rejection(error: GatewayError): string {
  return JSON.stringify({ message: error.message, code: error.code, kind: kindOfRefusal(error) });
}
