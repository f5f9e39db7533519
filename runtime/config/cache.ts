/** The `cache` keys: of the gateway, and of its routes. A route caches when it says so, or when the gateway does and the route doesn't say otherwise. */
import { isToken } from "../proxy/fields.ts";
import { shown } from "./problems.ts";
import type { CacheConfig, RouteCacheConfig } from "./resolved.ts";
import type { ConfigInput } from "./schema.ts";
import { secretOf, type StoreParts } from "./store.ts";
import { durationMs, sizeBytes } from "./units.ts";

type RouteInput = Exclude<NonNullable<NonNullable<ConfigInput["routes"]>[number]["cache"]>, false>;

/** Null: no route caches. */
export function cacheOf(input: ConfigInput, parts: StoreParts): CacheConfig | null {
  const { cache } = input;
  const used = cache !== undefined || (input.routes ?? []).some((route) => route.cache !== undefined && route.cache !== false);
  if (!used) return null;
  const shared = cache?.shared;
  return {
    memoryBytes: sizeBytes(cache?.memory ?? "256MiB"),
    maxObjectBytes: sizeBytes(cache?.maxObject ?? "8MiB"),
    lockTimeoutMs: durationMs(cache?.lockTimeout ?? "5s"),
    shared:
      shared === false
        ? null
        : { maxObjectBytes: sizeBytes(shared?.maxObject ?? "1MiB"), lifetimeMs: durationMs(shared?.lifetime ?? "1d"), compress: shared?.compress ?? true },
    secret: cache?.secret === undefined ? "" : secretOf(cache.secret, ["cache", "secret"], parts),
  };
}

/** What a route does with answers; null: nothing. `undefined` is what a route says that says nothing. */
export function routeCacheOf(
  input: RouteInput | false | undefined,
  everywhere: boolean,
  at: readonly (string | number)[],
  parts: StoreParts,
): RouteCacheConfig | null {
  if (input === false || (input === undefined && !everywhere)) return null;
  const route = input ?? {};
  const { key } = route;
  const headers = (key?.headers ?? []).map((name, i) => {
    if (!isToken(name)) parts.report([...at, "key", "headers", i], `found ${shown(name)}, expected a header name`);
    return name.toLowerCase();
  });
  const query = key?.query;
  if (typeof query === "object" && (query.include === undefined) === (query.exclude === undefined))
    parts.report([...at, "key", "query"], `found ${query.include === undefined ? "neither" : "both"} include and exclude, expected one of them`);
  const statuses = Object.entries(route.statuses ?? {}).map(([status, lifetime]): [number, number] => {
    if (!/^[2-5]\d\d$/.test(status)) parts.report([...at, "statuses", status], `found ${shown(status)}, expected a status from 200 to 599`);
    return [Number(status), durationMs(lifetime)];
  });
  return {
    defaultMs: durationMs(route.default ?? "0s"),
    heuristicLimitMs: durationMs(route.heuristicLimit ?? "1h"),
    statusMs: statuses,
    staleWhileRevalidateMs: durationMs(route.staleWhileRevalidate ?? "0s"),
    staleIfErrorMs: durationMs(route.staleIfError ?? "0s"),
    maxMs: durationMs(route.maxLifetime ?? "365d"),
    hitForMissMs: durationMs(route.hitForMiss ?? "60s"),
    setCookie: route.setCookie ?? "explicit",
    honourClient: route.clientDirectives ?? true,
    key: {
      query:
        query === undefined || query === true
          ? null
          : query === false
            ? { mode: "include", names: [] }
            : query.include === undefined
              ? { mode: "exclude", names: query.exclude ?? [] }
              : { mode: "include", names: query.include },
      headers,
      cookies: key?.cookies ?? [],
    },
  };
}
