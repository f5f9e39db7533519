import { defineRule } from "sluice";

/** Where the warehouse in Europe delivers to. */
const SERVED = ["AT", "BE", "CH", "DE", "FR", "IT", "LI", "LU", "NL"];

/** Visitors from these countries get the shop of that warehouse, the upstream `europe`. Everyone else never enters the sandbox. */
export default defineRule({
  when: { country: SERVED, not: { path: ["/assets/*", "/images/*"] } },
  onRequest(req) {
    req.upstream = "europe";
  },
  onError(error, req, ctx) {
    if (req.upstream !== "europe") return;
    ctx.log.warn(`europe: ${error.code}`);
    // Prices in dollars are better than none.
    req.upstream = "shop";
  },
  onResponse(res) {
    // The gateway's cache keeps the two apart; caches between here and the visitor know no countries (RFC 9111 section 5.2.2).
    res.headers.set("cache-control", "private, no-cache");
  },
});
