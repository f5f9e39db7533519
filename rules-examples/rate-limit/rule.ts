import { defineRule, respond } from "sluice";

/** What a request costs, by the beginning of its path: a search is as much work as ten lookups. */
const COSTS: readonly (readonly [path: string, cost: number])[] = [["/api/search", 10]];

interface State {
  /** For the answer. */
  limit: Record<string, string>;
}

export default defineRule<State>({
  when: { path: "/api/*", not: { path: "/api/status" } },
  // Before whoever looks at the key: guessing keys is limited too.
  order: -60,
  async onRequest(req, ctx) {
    const apiKey = req.headers.get("x-api-key");
    const cost = COSTS.find(([path]) => req.path.startsWith(path))?.[1] ?? 1;
    const limit =
      apiKey === null
        ? await ctx.limit("without-api-key", { key: ctx.client.address, rate: "20/1h", cost, penalty: { after: 30, block: "10m" } })
        : await ctx.limit("per-api-key", { key: apiKey, rate: "600/1h", burst: 50, cost });
    ctx.state.limit = { ...limit.headers };
    if (limit.allowed) return;
    return respond(429, { error: "too many requests", retryAfterSeconds: Math.ceil(limit.retryAfterMs / 1000) }, { "cache-control": "no-store" });
  },
  onResponse(res, _req, ctx) {
    // On every answer, so that a client can slow down before it is refused.
    for (const [name, value] of Object.entries(ctx.state.limit ?? {})) res.headers.set(name, value);
  },
});
