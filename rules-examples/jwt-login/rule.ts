import { defineRule, redirect, respond } from "sluice";

const ISSUER = "https://shop.example.com";

/** Tells the shop in `x-user` who is asking, and lets nobody into the account area without a valid session. */
export default defineRule({
  order: -50,
  secrets: ["jwtKey"],
  async onRequest(req, ctx) {
    // Only this rule may say who somebody is.
    req.headers.delete("x-user");

    const bearer = req.headers.has("authorization");
    if (bearer || req.cookie("session") !== null) {
      const user = await ctx.auth.jwt({
        key: ctx.secrets.jwtKey,
        issuer: ISSUER,
        algorithms: ["HS256"],
        from: bearer ? { header: "authorization" } : { cookie: "session" },
      });
      if (user?.sub) {
        req.headers.set("x-user", user.sub);
        return;
      }
      ctx.log.info(`no session: ${ctx.auth.reason}`);
    }

    if (req.path !== "/account" && !req.path.startsWith("/account/")) return;
    // A browser is sent to the form and comes back; a program is told what is missing (RFC 6750 section 3).
    if (req.method !== "GET" || bearer || !req.headers.get("accept")?.includes("text/html")) {
      return respond(401, { error: "sign in" }, { "www-authenticate": 'Bearer realm="shop"', "cache-control": "no-store" });
    }
    const query = req.query.toString();
    return redirect(`/login?next=${encodeURIComponent(query ? `${req.path}?${query}` : req.path)}`);
  },
});
