/** What `GET /v1/tail` may ask: `rule`, `status`, `path`, `method`, `errors`, `trace`, `rate`. Pure. */
import type { TailFilter } from "../observe/tail.ts";

export interface TailRefusal {
  readonly found: string;
  readonly expected: string;
}

const NAMES: ReadonlySet<string> = new Set(["rule", "status", "path", "method", "errors", "trace", "rate"]);
const MAX_UNITS = 1_000;
const MAX_METHODS = 20;
/** More than anybody reads, and 2 % of what a busy worker does. */
const DEFAULT_PER_SECOND = 100;

export function readTailFilter(query: URLSearchParams): TailFilter | TailRefusal {
  for (const [name, value] of query) {
    if (!NAMES.has(name)) return { found: shown(name), expected: [...NAMES].join(", ") };
    if (value === "" || value.length > MAX_UNITS) return { found: `${name}=${shown(value)}`, expected: `${name} with 1 to ${MAX_UNITS} characters` };
  }
  const statuses: (readonly [number, number])[] = [];
  for (const word of words(query.get("status"))) {
    const range = statusRange(word);
    if (range === null) return { found: `status=${shown(word)}`, expected: "a status (404), a class (5xx) or a range (400-499), several with commas between" };
    statuses.push(range);
  }
  const methods = words(query.get("method")).map((word) => word.toUpperCase());
  const odd = methods.find((method) => !/^[!#$%&'*+.^_`|~0-9A-Z-]{1,40}$/.test(method));
  if (odd !== undefined || methods.length > MAX_METHODS)
    return { found: `method=${shown(odd ?? `${methods.length} methods`)}`, expected: "methods, several with commas between" };
  const path = query.get("path") ?? "";
  if (path !== "" && !/^[/*]/.test(path)) return { found: `path=${shown(path)}`, expected: 'a path that begins with "/"; * stands for anything ("/cart/*")' };
  const errors = query.get("errors");
  if (errors !== null && errors !== "true" && errors !== "false") return { found: `errors=${shown(errors)}`, expected: "true or false" };
  const rate = query.get("rate") ?? `${DEFAULT_PER_SECOND}`;
  if (!/^(?:all|[1-9]\d{0,5})$/.test(rate)) return { found: `rate=${shown(rate)}`, expected: "ordinary lines a second of each worker (1 to 999999), or all" };
  const perSecond = rate === "all" ? null : Number(rate);
  return { rule: query.get("rule") ?? "", statuses, path, methods, errors: errors === "true", trace: query.get("trace") ?? "", perSecond };
}

function statusRange(word: string): readonly [number, number] | null {
  const group = /^([1-5])xx$/i.exec(word);
  if (group) return [Number(group[1]) * 100, Number(group[1]) * 100 + 99];
  const range = /^(\d{3})(?:-(\d{3}))?$/.exec(word);
  if (!range) return null;
  const from = Number(range[1]);
  const to = Number(range[2] ?? range[1]);
  return from >= 100 && from <= to && to <= 599 ? [from, to] : null;
}

function words(list: string | null): string[] {
  return list === null ? [] : list.split(",").map((word) => word.trim());
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 100));
}
