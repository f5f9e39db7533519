/** `rateLimits` and `routes[].limits`: numbers, key parts, and that one name means one limit. */
import { isToken } from "../proxy/fields.ts";
import type { KeyPart } from "../ratelimit/keys.ts";
import { resolvePolicy } from "../ratelimit/policy.ts";
import type { RateLimitConfig } from "../ratelimit/route-limits.ts";
import { shown } from "./problems.ts";
import type { ConfigInput } from "./schema.ts";

type LimitInput = NonNullable<ConfigInput["rateLimits"]>[number];
type KeyInput = NonNullable<LimitInput["key"]>[number];
type Path = readonly (string | number)[];
type Report = (path: Path, text: string) => void;

/** A network that one household or machine usually has for itself (RFC 6177). */
const IPV6_BITS = 64;
const IPV4_BITS = 32;

/** The limits of all requests. What a name means is compared over the whole config here. */
export function rateLimitsOf(input: ConfigInput, report: Report): RateLimitConfig[] {
  const written = [
    ...(input.rateLimits ?? []).map((limit, i) => ({ limit, at: ["rateLimits", i] as Path, set: "rateLimits" })),
    ...(input.routes ?? []).flatMap(({ limits = [] }, route) =>
      limits.map((limit, i) => ({ limit, at: ["routes", route, "limits", i] as Path, set: `routes[${route}].limits` })),
    ),
  ];
  const known = new Map<string, (typeof written)[number]>();
  for (const one of written) {
    const { limit, at, set } = one;
    const twin = known.get(limit.name);
    if (twin === undefined) known.set(limit.name, one);
    else if (twin.set === set || twin.set === "rateLimits") report([...at, "name"], `found ${shown(limit.name)} again; ${twin.set} has it already`);
    else if (JSON.stringify(sorted(limit)) !== JSON.stringify(sorted(twin.limit)))
      report(at, `found another ${shown(limit.name)} than in ${twin.set}, expected the same: one name is one limit`);
  }
  return routeRateLimitsOf(input.rateLimits, ["rateLimits"], report);
}

export function routeRateLimitsOf(limits: readonly LimitInput[] | undefined, at: Path, report: Report): RateLimitConfig[] {
  return (limits ?? []).flatMap((limit, i) => {
    const { name, key = ["address"], cost = 1, ...policyInput } = limit;
    const resolved = resolvePolicy(name, "config", policyInput);
    const parts = key.map((part, n) => keyPart(part, [...at, i, "key", n], report));
    if ("problems" in resolved) {
      for (const problem of resolved.problems) report([...at, i, problem.at], `found ${shown(limit[problem.at])}, expected ${problem.expected}`);
      return [];
    }
    const { policy } = resolved;
    if (cost > policy.capacity) report([...at, i, "cost"], `found ${cost}, expected at most ${policy.capacity}: more can never be had at once`);
    return [{ policy, key: parts, cost }];
  });
}

function keyPart(part: KeyInput, at: Path, report: Report): KeyPart {
  if (part === "address") return { kind: "address", ipv4: IPV4_BITS, ipv6: IPV6_BITS };
  if (part === "path" || part === "host") return { kind: part };
  if ("address" in part) return { kind: "address", ipv4: part.address.ipv4 ?? IPV4_BITS, ipv6: part.address.ipv6 ?? IPV6_BITS };
  const [kind, name] = "header" in part ? (["header", part.header] as const) : (["cookie", part.cookie] as const);
  if (!isToken(name)) report([...at, kind], `found ${shown(name)}, expected a ${kind} name`);
  return { kind, name: kind === "header" ? name.toLowerCase() : name };
}

function sorted(value: object): object {
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
