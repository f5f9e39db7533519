/** What another release would change, in the operator's words: rules, matches, order, experiments, routes, limits, and what rules may do. Pure. */
import type { RouteConfig } from "../config/resolved.ts";
import type { RateLimitConfig } from "../ratelimit/route-limits.ts";
import { experimentsChanged } from "./experiment-difference.ts";
import { canonicalJson } from "./identity.ts";
import type { Phase, Release, RuleManifest, RuleModule } from "./release.ts";

export interface ReleaseContent {
  readonly release: Release;
  readonly routes: readonly RouteConfig[];
}

export interface Change {
  readonly about: "rule" | "match" | "order" | "capability" | "experiment" | "route" | "limit" | "config";
  readonly how: "added" | "removed" | "changed";
  /** The rule's name, or the route's match. */
  readonly subject: string;
  readonly text: string;
}

const SERVICES: Readonly<Record<string, string>> = {
  fetch: "may call out (ctx.fetch)",
  jwt: "checks JWTs (ctx.auth.jwt)",
  hmac: "checks signatures (ctx.auth.hmac)",
  forward: "asks an auth service (ctx.auth.forward)",
  cache: "decides about the cache (ctx.cache)",
  kv: "reads and writes shared values (ctx.kv)",
  limit: "limits rates (ctx.limit)",
  timer: "waits (timers)",
  requestBody: "may read request bodies",
  responseBody: "may read response bodies",
};

/** `mayFetch`: does this config allow rules to call that origin? */
export function differenceOf(before: ReleaseContent, after: ReleaseContent, mayFetch: (origin: string) => boolean): Change[] {
  const [old, now] = [rulesOf(before.release), rulesOf(after.release)];
  const changes: Change[] = [];
  for (const [name, rule] of now) {
    const was = old.get(name);
    if (was === undefined) changes.push(...added(rule.manifest, mayFetch));
    else changes.push(...changed(was, rule, mayFetch));
  }
  for (const name of old.keys()) if (!now.has(name)) changes.push({ about: "rule", how: "removed", subject: name, text: "is taken out" });
  changes.push(
    ...reordered(before.release, after.release),
    ...experimentsChanged(before.release, after.release),
    ...routesChanged(before.routes, after.routes),
  );
  return changes;
}

/** Experiments are told of by themselves. */
function rulesOf({ rules }: Release): Map<string, RuleModule> {
  return new Map(rules.filter(({ manifest }) => manifest.experiment === undefined).map((rule) => [rule.manifest.name, rule]));
}

function added(manifest: RuleManifest, mayFetch: (origin: string) => boolean): Change[] {
  const { name, phases, order, when } = manifest;
  const where = when.length === 0 ? "every request" : JSON.stringify(when.length === 1 ? when[0] : when);
  return [
    { about: "rule", how: "added", subject: name, text: `${phases.join(", ")} for ${where}, order ${order}, ${onFailure(manifest)}` },
    ...capabilities(null, manifest, mayFetch),
  ];
}

function changed(was: RuleModule, is: RuleModule, mayFetch: (origin: string) => boolean): Change[] {
  const [a, b] = [was.manifest, is.manifest];
  const subject = b.name;
  const changes: Change[] = [];
  const say = (about: Change["about"], text: string): void => void changes.push({ about, how: "changed", subject, text });
  if (was.code !== is.code) say("rule", "its code changes");
  if (canonicalJson(a.when) !== canonicalJson(b.when)) say("match", `matches ${JSON.stringify(b.when)} instead of ${JSON.stringify(a.when)}`);
  if (a.order !== b.order) say("order", `order ${b.order} instead of ${a.order}`);
  const phases = [
    ...b.phases.filter((phase) => !a.phases.includes(phase)).map((phase) => `+${phase}`),
    ...a.phases.filter((phase) => !b.phases.includes(phase)).map((phase) => `-${phase}`),
  ];
  if (phases.length > 0) say("rule", `hooks ${phases.join(" ")}`);
  if (a.onFailure !== b.onFailure) say("rule", onFailure(b));
  changes.push(...capabilities(a, b, mayFetch));
  return changes;
}

function onFailure(manifest: RuleManifest): string {
  return manifest.onFailure === "open" ? "fails open (requests carry on without it)" : "fails closed (503)";
}

function capabilities(a: RuleManifest | null, b: RuleManifest, mayFetch: (origin: string) => boolean): Change[] {
  const told = (manifest: RuleManifest): string[] => [
    ...manifest.services.filter((service) => isReachable(service, manifest)).map((service) => SERVICES[service] ?? `uses ${service}`),
    ...(manifest.asksExperiments ?? []).map((key) => (key === "*" ? "may ask for any experiment" : `asks for the experiment ${key}`)),
    ...(manifest.tracks === true ? ["counts goals (ctx.track)"] : []),
    ...manifest.secrets.map((secret) => `sees the secret ${secret}`),
    ...(manifest.services.includes("fetch") || manifest.services.includes("forward")
      ? manifest.hosts.map((host) => (mayFetch(host) ? `may fetch ${host}` : `names ${host}, which config does not allow it to fetch`))
      : []),
  ];
  const old = a === null ? [] : told(a);
  const now = told(b);
  const change = (how: "added" | "removed", text: string): Change => ({ about: "capability", how, subject: b.name, text });
  return [
    ...now.filter((text) => !old.includes(text)).map((text) => change("added", `new: ${text}`)),
    ...old.filter((text) => !now.includes(text)).map((text) => change("removed", `no longer: ${text}`)),
  ];
}

/** The words that reach one body reach the other too; which of them a rule meets its hooks tell. */
function isReachable(service: string, { phases }: RuleManifest): boolean {
  const has = (...some: readonly Phase[]): boolean => some.some((phase) => phases.includes(phase));
  if (service === "requestBody") return has("onRequest", "onOriginRequest");
  return service === "responseBody" ? has("onOriginResponse", "onResponse") : true;
}

/** Rules that both have, and that now run in another order among each other. */
function reordered(before: Release, after: Release): Change[] {
  const names = (release: Release, other: Release): string[] => {
    const known = rulesOf(other);
    return [...rulesOf(release).keys()].filter((name) => known.has(name));
  };
  const now = names(after, before);
  return now.join("\n") === names(before, after).join("\n")
    ? []
    : [{ about: "order", how: "changed", subject: "rules", text: `run in the order ${now.join(", ")}` }];
}

function routesChanged(before: readonly RouteConfig[], after: readonly RouteConfig[]): Change[] {
  const subject = (route: RouteConfig): string =>
    route.match.length === 0 ? "every request" : JSON.stringify(route.match.length === 1 ? route.match[0] : route.match);
  const keyed = (routes: readonly RouteConfig[]) => new Map(routes.map((route) => [canonicalJson(route.match), route]));
  const [old, now] = [keyed(before), keyed(after)];
  const changes: Change[] = [];
  const say = (how: Change["how"], route: RouteConfig, text: string): void => void changes.push({ about: "route", how, subject: subject(route), text });
  for (const [key, route] of now) {
    const was = old.get(key);
    if (was === undefined) {
      say("added", route, `to ${route.upstream}${route.cache === null ? "" : ", cached"}`);
      changes.push(...limitsChanged(subject(route), [], route.limits));
    } else {
      if (was.upstream !== route.upstream) say("changed", route, `to ${route.upstream} instead of ${was.upstream}`);
      if (canonicalJson(was.cache) !== canonicalJson(route.cache))
        say(
          "changed",
          route,
          route.cache === null ? "is not cached any more" : was.cache === null ? "is cached" : `is cached otherwise: ${members(was.cache, route.cache)}`,
        );
      changes.push(...limitsChanged(subject(route), was.limits, route.limits));
    }
  }
  for (const [key, route] of old) if (!now.has(key)) say("removed", route, `no longer to ${route.upstream}`);
  const order = (routes: readonly RouteConfig[], other: ReadonlyMap<string, RouteConfig>): string =>
    routes
      .map(({ match }) => canonicalJson(match))
      .filter((key) => other.has(key))
      .join("\n");
  if (order(before, now) !== order(after, old)) changes.push({ about: "order", how: "changed", subject: "routes", text: "are tried in another order" });
  return changes;
}

function limitsChanged(subject: string, before: readonly RateLimitConfig[], after: readonly RateLimitConfig[]): Change[] {
  const named = (limits: readonly RateLimitConfig[]) => new Map(limits.map((limit) => [limit.policy.name, limit]));
  const [old, now] = [named(before), named(after)];
  const change = (how: Change["how"], text: string): Change => ({ about: "limit", how, subject, text });
  return [
    ...[...now].flatMap(([name, limit]) => {
      const was = old.get(name);
      if (was === undefined) return [change("added", `${name}: ${rateOf(limit)}`)];
      if (canonicalJson(was) === canonicalJson(limit)) return [];
      return [
        change(
          "changed",
          rateOf(was) === rateOf(limit) ? `${name}: ${members(flat(was), flat(limit))}` : `${name}: ${rateOf(limit)} instead of ${rateOf(was)}`,
        ),
      ];
    }),
    ...[...old.keys()].filter((name) => !now.has(name)).map((name) => change("removed", `${name}: no longer`)),
  ];
}

function rateOf({ policy: { limit, windowMs } }: RateLimitConfig): string {
  return windowMs === 0 ? `${limit} at once` : `${limit} in ${windowMs / 1000} s`;
}

function flat({ policy, ...rest }: RateLimitConfig): object {
  return { ...policy, ...rest };
}

/** "name value instead of value", for each member that differs. */
function members(before: object, after: object): string {
  const [old, now] = [before as Readonly<Record<string, unknown>>, after as Readonly<Record<string, unknown>>];
  return [...new Set([...Object.keys(old), ...Object.keys(now)])]
    .filter((name) => canonicalJson(old[name] ?? null) !== canonicalJson(now[name] ?? null))
    .map((name) => `${name} ${JSON.stringify(now[name] ?? null)} instead of ${JSON.stringify(old[name] ?? null)}`)
    .join(", ");
}
