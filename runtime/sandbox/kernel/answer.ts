/** What a hook returned, taken as a stranger's: read once, checked, written as effects. */
import type { FetchAnswer } from "../../../sdk/index.ts";
import { str } from "../codec.ts";
import { Effect, MAX_BODY_UNITS } from "../protocol.ts";
import { contentOf } from "./content.ts";
import { describe } from "./failure.ts";
import { FRAMING, fieldName, fieldValue } from "./header-fields.ts";
import type { RuleRun } from "./rule-run.ts";

const MAX_FIELDS = 200;

export function isFetchAnswer(value: unknown): value is FetchAnswer {
  return typeof value === "object" && value !== null && (value as { kind?: unknown }).kind === "fetch";
}

/** The RESPOND effect, or null for "carry on". Throws when it is neither, or not to be had in this phase. */
export function answerOf(run: RuleRun, value: unknown): string | null {
  if (value === undefined || value === null) return null;
  const kind = typeof value === "object" ? (value as { kind?: unknown }).kind : undefined;
  if (kind === "next") return null;
  if (kind !== "respond")
    throw new TypeError(
      `${run.phase} returned ${describe(value)}: ${mayAnswer(run) ? "respond(…), redirect(…), next or nothing" : "next or nothing"} is expected`,
    );
  if (!mayAnswer(run)) throw new TypeError(`${run.phase} cannot answer: it returned ${describe(value)}`);
  const { status, headers, body } = value as { status: unknown; headers: unknown; body: unknown };
  if (typeof status !== "number" || !Number.isInteger(status) || status < 200 || status > 599)
    throw new RangeError(`${run.phase}: a status from 200 to 599 is expected, found ${describe(status)}`);
  const length = Array.isArray(headers) ? headers.length : -1;
  if (!Array.isArray(headers) || length < 0 || length > MAX_FIELDS) throw new TypeError(`${run.phase}: an answer has a list of at most ${MAX_FIELDS} headers`);
  let fields = "";
  let count = 0;
  for (let i = 0; i < length; i++) {
    const pair: unknown = headers[i];
    if (!Array.isArray(pair)) throw new TypeError(`${run.phase}: an answer's headers are pairs of name and value`);
    const name = fieldName(pair[0]);
    const text = fieldValue(name, pair[1]);
    // The gateway writes its own; handlers made for other runtimes often name a length.
    if (FRAMING.has(name)) continue;
    fields += str(name) + str(text);
    count++;
  }
  const { bytes } = contentOf(body, run.phase);
  run.expectRoom(fields.length, "the headers of an answer");
  run.expectRoom(bytes.length, "the body of an answer", MAX_BODY_UNITS);
  return `${Effect.RESPOND};${run.rule.index};${status};${count};${fields}${str(bytes)}`;
}

function mayAnswer(run: RuleRun): boolean {
  return run.phase === "onRequest" || run.phase === "onError";
}
