/** Answers, requests and options as the policy tests write them down. */
import { Fields } from "../../../runtime/proxy/fields.ts";
import { httpDate, readRequest, storable, type Freshness, type RequestTerms, type Storable, type StoreOptions } from "../../../runtime/cache/policy/policy.ts";

export const NOW_MS = Date.UTC(2026, 5, 1, 12);
export const SECOND_MS = 1000;
export const DAY_MS = 86_400_000;

export const RFC_ONLY: StoreOptions = {
  defaultMs: 0,
  heuristicLimitMs: DAY_MS,
  statusMs: new Map(),
  lifetimeMs: -1,
  cacheability: "origin",
  staleWhileRevalidateMs: 0,
  staleIfErrorMs: 0,
  maxMs: 365 * DAY_MS,
  hitForMissMs: 120_000,
  setCookie: "explicit",
};

/** "name: value" lines; `@-10` as a value is the HTTP-date ten seconds ago. */
export function fields(...lines: readonly string[]): Fields {
  const list: string[] = [];
  for (const line of lines) {
    const colon = line.indexOf(": ");
    const value = line.slice(colon + 2);
    list.push(line.slice(0, colon).toLowerCase(), /^@[+-]?\d+$/.test(value) ? httpDate(NOW_MS + Number(value.slice(1)) * SECOND_MS) : value);
  }
  return new Fields(list);
}

export function request(...lines: readonly string[]): RequestTerms {
  return readRequest("GET", fields(...lines), true);
}

export interface Answer {
  readonly status?: number;
  readonly fields: readonly string[];
  readonly request?: RequestTerms;
  readonly options?: Partial<StoreOptions>;
  readonly tookMs?: number;
}

export function judge(answer: Answer): Storable {
  return storable(
    answer.request ?? request(),
    answer.status ?? 200,
    fields(...answer.fields),
    { ...RFC_ONLY, ...answer.options },
    {
      requestAtMs: NOW_MS - (answer.tookMs ?? 0),
      responseAtMs: NOW_MS,
    },
  );
}

/** "no-store", "private", … or "stored". */
export function verdictOn(answer: Answer): string {
  const result = judge(answer);
  return result.store ? "stored" : result.reason;
}

export function stored(answer: Answer): Extract<Storable, { store: true }> {
  const result = judge(answer);
  if (!result.store) throw new Error(`not stored: ${result.reason}`);
  return result;
}

export function freshness(...lines: readonly string[]): Freshness {
  return stored({ fields: lines }).freshness;
}

/** Seconds that the answer is fresh, counted from when it came. */
export function freshSeconds(answer: Answer): number {
  return (stored(answer).freshness.freshUntilMs - NOW_MS) / SECOND_MS;
}
