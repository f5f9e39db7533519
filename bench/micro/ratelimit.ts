/**
 * What a limit costs inside a worker: making a key, a decision that needs nobody, and one by the store (in this process, sixteen in a turn as
 * under load). `node --conditions=sluice-source bench/micro/ratelimit.ts`
 */
import { bench, do_not_optimize, run } from "mitata";
import { systemClock } from "../../runtime/clock.ts";
import { keyOf, storePrefix } from "../../runtime/ratelimit/keys.ts";
import { type LimitMode, resolvePolicy } from "../../runtime/ratelimit/policy.ts";
import { type LimitAsk, Limiter } from "../../runtime/ratelimit/ratelimit.ts";
import { createMemoryStore } from "../../runtime/store/store.ts";

const TURN = 16;
const limiter = new Limiter({ store: createMemoryStore(), clock: systemClock, events: { charged: () => undefined, degraded: () => undefined } });

function ask(name: string, rate: string, mode: LimitMode): LimitAsk {
  const resolved = resolvePolicy(name, "config", { rate, mode });
  if ("problems" in resolved) throw new Error(JSON.stringify(resolved.problems));
  const { policy } = resolved;
  return { policy, key: `${storePrefix(policy, name)}k`, cost: 1, want: 1, group: name };
}

const request = { path: "/products/42", host: "shop.example.com", fields: { joined: () => "mk_live_7c1e0a52f4" } };
bench("keyOf, an IPv4 address", () => do_not_optimize(keyOf([{ kind: "address", ipv4: 32, ipv6: 64 }], "203.0.113.7", request)));
bench("keyOf, an IPv6 address that was seen", () => do_not_optimize(keyOf([{ kind: "address", ipv4: 32, ipv6: 64 }], "2001:db8:1:2:3:4:5:6", request)));
bench("keyOf, a header", () => do_not_optimize(keyOf([{ kind: "header", name: "x-api-key" }], "", request)));

const leased = ask("leased", "1000000/1s", "leased");
bench("Limiter.check, leased", async () => do_not_optimize(await limiter.check([leased])));
const blocked = ask("blocked", "1/1d", "exact");
await limiter.check([blocked]);
await limiter.check([blocked]);
bench("Limiter.check, known to be refused", () => do_not_optimize(limiter.check([blocked])));
const exact = ask("exact", "1000000/1s", "exact");
bench(`Limiter.check, exact, ${TURN} in a turn`, async () =>
  do_not_optimize(await Promise.all(Array.from({ length: TURN }, async () => limiter.check([exact])))));
await run();
limiter.close();
