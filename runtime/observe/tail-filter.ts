/** A filter made ready once, so that an exchange which nobody asked for costs a few comparisons. Pure. */
import { ERRORS, type ErrorCode } from "../errors.ts";
import type { ExchangeRecord } from "./record.ts";
import type { TailFilter } from "./tail-events.ts";

/** What failed, and not by the client's doing: a stranger could fill the errors' room with those. */
export function hasFailed({ status, code }: ExchangeRecord): boolean {
  return status >= 500 || (code !== "" && (!Object.hasOwn(ERRORS, code) || ERRORS[code as ErrorCode].source !== "client"));
}

export class ReadyFilter {
  /** Is there a condition that only a finished exchange can meet? Rules' lines wait for it then. */
  readonly asksExchange: boolean;
  readonly rule: string;
  readonly errors: boolean;
  readonly trace: string;
  readonly #methods: ReadonlySet<string> | null;
  readonly #statuses: TailFilter["statuses"];
  readonly #path: readonly string[] | null;

  constructor({ rule, statuses, path, methods, errors, trace }: TailFilter) {
    this.rule = rule;
    this.errors = errors;
    this.trace = trace;
    this.#methods = methods.length === 0 ? null : new Set(methods);
    this.#statuses = statuses;
    this.#path = path === "" ? null : path.split("*");
    this.asksExchange = this.#methods !== null || statuses.length > 0 || path !== "";
  }

  /** All conditions but the rule, which the record does not know fully. */
  exchange(record: ExchangeRecord): boolean {
    if (this.#methods !== null && !this.#methods.has(record.method)) return false;
    if (this.#statuses.length > 0 && !this.#statuses.some(([from, to]) => record.status >= from && record.status <= to)) return false;
    if (this.errors && !hasFailed(record)) return false;
    if (this.trace !== "" && record.id !== this.trace) return false;
    return this.#path === null || fits(pathOf(record.target), this.#path);
  }

  isRule(name: string): boolean {
    return (
      this.rule === "" ||
      name === this.rule ||
      (name.startsWith(this.rule) && name.charCodeAt(this.rule.length) === 46 && !name.includes("/", this.rule.length))
    );
  }
}

function pathOf(target: string): string {
  const mark = target.indexOf("?");
  return mark < 0 ? target : target.slice(0, mark);
}

/** The pieces between the `*` of a pattern, each sought behind the one before: linear, whatever the pattern. */
function fits(path: string, pieces: readonly string[]): boolean {
  const first = pieces[0]!;
  if (pieces.length === 1) return path === first;
  const last = pieces.at(-1)!;
  if (!path.startsWith(first) || !path.endsWith(last) || path.length < first.length + last.length) return false;
  let at = first.length;
  for (let i = 1; i < pieces.length - 1; i++) {
    const found = path.indexOf(pieces[i]!, at);
    if (found < 0) return false;
    at = found + pieces[i]!.length;
  }
  return at <= path.length - last.length;
}
