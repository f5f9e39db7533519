import { defineRule } from "sluice";

const COOKIE = "home-copy";
const LIFETIME_S = 30 * 24 * 3600;

interface Split {
  /** Set when this visitor was assigned just now and does not carry the cookie yet. */
  assigned: "plain" | "bold";
}

/** Half of the visitors see another home page; who saw it once sees it for 30 days. */
export default defineRule<Split>({
  when: { path: "/", method: ["GET", "HEAD"] },
  order: 10,
  onRequest(req, ctx) {
    const carried = req.cookie(COOKIE);
    const known = carried === "plain" || carried === "bold" ? carried : null;
    const variant = known ?? (ctx.random() < 0.5 ? "plain" : "bold");
    if (known === null) ctx.state.assigned = variant;
    if (variant === "bold") req.path = "/home-bold";
    ctx.metric("home_copy_shown", 1, { variant });
  },
  onResponse(res, req, ctx) {
    // The same address gives two pages, so no shared cache may mix them up.
    res.headers.set("cache-control", "private, no-cache");
    res.headers.append("vary", "cookie");
    const { assigned } = ctx.state;
    if (assigned === undefined) return;
    const secure = req.scheme === "https" ? "; Secure" : "";
    res.headers.append("set-cookie", `${COOKIE}=${assigned}; Path=/; Max-Age=${LIFETIME_S}; SameSite=Lax; HttpOnly${secure}`);
  },
});
