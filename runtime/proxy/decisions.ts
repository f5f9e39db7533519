/** What a release decided about one request, and how two releases differ in it: the one comparison behind `plan --replay` and shadow releases. Pure. */

/** Aspect ("status", "upstream", "request header x-user", …) → what was decided. */
export type Decisions = ReadonlyMap<string, string>;

/** Aspect → who decided, and where: `file:line:column`, "" when nothing tells it. */
export type DecidedBy = ReadonlyMap<string, DeciderPlace>;
export interface DeciderPlace {
  readonly rule: string;
  readonly place: string;
}

export interface DecisionDifference {
  readonly what: string;
  /** Null: it left that alone. */
  readonly before: string | null;
  readonly after: string | null;
  /** Of whoever decides it now; when nobody does any more, of whoever did. "" when that is not known. */
  readonly rule: string;
  readonly place: string;
}

export const ANSWERED_BY = "answered by";
export const REQUEST_HEADER = "request header ";
export const RESPONSE_HEADER = "response header ";
/** A call that has no reply here: what would have followed from it nobody knows. */
export const CALL = "call ";

/** Aspects of what cache and origin are asked. */
const OF_REQUEST: ReadonlySet<string> = new Set(["upstream", "method", "target", "request body", "cache key", "cache"]);
const REMOVED = "(removed)";

/**
 * Where one asks cache or origin and the other answers itself, that is the difference: what only one of them has is not listed piece by piece. Where one makes a
 * call that can't be answered, that is all that is known.
 */
export function differencesOf(before: Decisions, after: Decisions, by: { readonly before: DecidedBy; readonly after: DecidedBy }): DecisionDifference[] {
  const names = [...new Set([...before.keys(), ...after.keys()])].filter((what) => before.get(what) !== after.get(what));
  const calls = names.filter((what) => what.startsWith(CALL));
  const asks = before.has("target") && after.has("target");
  const sameSource = before.get(ANSWERED_BY) === after.get(ANSWERED_BY);
  const told =
    calls.length > 0
      ? calls
      : names.filter((what) => {
          if (OF_REQUEST.has(what) || what.startsWith(REQUEST_HEADER)) return asks;
          return sameSource || what === ANSWERED_BY || what === "status";
        });
  return told.map((what) => {
    const { rule = "", place = "" } = by.after.get(what) ?? by.before.get(what) ?? {};
    return { what, before: before.get(what) ?? null, after: after.get(what) ?? null, rule, place };
  });
}

/** Fields that rules changed: name → the new value, or that it is gone. */
export function changedFields(before: readonly string[], after: readonly string[], kind: string, into: Map<string, string>): void {
  const [was, is] = [joined(before), joined(after)];
  for (const [name, value] of is) if (was.get(name) !== value) into.set(kind + name, value);
  for (const name of was.keys()) if (!is.has(name)) into.set(kind + name, REMOVED);
}

function joined(list: readonly string[]): Map<string, string> {
  const values = new Map<string, string>();
  for (let i = 0; i + 1 < list.length; i += 2) {
    const known = values.get(list[i]!);
    values.set(list[i]!, known === undefined ? list[i + 1]! : `${known}, ${list[i + 1]}`);
  }
  return values;
}

const MESSAGE_UNITS = 200;

/** A failure as it is counted: numbers in it (times, ids) are often each exchange's own. */
export function failureKind(message: string): string {
  const alike = message.replaceAll(/\d+/g, "n");
  return alike.length <= MESSAGE_UNITS ? alike : `${alike.slice(0, MESSAGE_UNITS)}…`;
}
