import { defineRule, respond } from "sluice";

const HEADER = "x-canary";
const COOKIE = "canary";
const LIFETIME_S = 24 * 3600;

/** Sends those who ask for it to the upstream `canary`: programs by header, browsers by the cookie that `?canary=on` gives them. */
export default defineRule({
  // Everyone else never enters the sandbox.
  when: [{ header: { [HEADER]: "on" } }, { cookie: { [COOKIE]: "on" } }, { query: { [COOKIE]: ["on", "off"] }, method: "GET" }],
  onRequest(req) {
    const wish = req.method === "GET" ? req.query.get(COOKIE) : null;
    if (wish === "on" || wish === "off") {
      req.query.delete(COOKIE);
      const query = req.query.toString();
      // "//elsewhere.example" would be another host (RFC 3986 section 4.2), and browsers read "\" as "/".
      const path = req.path.replace(/^[/\\]+/, "/");
      const secure = req.scheme === "https" ? "; Secure" : "";
      return respond(303, undefined, {
        location: query ? `${path}?${query}` : path,
        "set-cookie": `${COOKIE}=${wish}; Path=/; Max-Age=${wish === "on" ? LIFETIME_S : 0}; SameSite=Lax; HttpOnly${secure}`,
        "cache-control": "no-store",
      });
    }
    req.upstream = "canary";
  },
  onError(error, req, ctx) {
    if (req.upstream !== "canary") return;
    ctx.log.warn(`canary: ${error.code}`);
    ctx.metric("canary_failed", 1, { code: error.code });
    // A test run wants to see the failure; a person wants to see the page.
    if (!req.headers.has(HEADER)) req.upstream = "shop";
  },
  onResponse(res, req) {
    if (res.from === "rule") return;
    res.headers.set("x-served-by", req.upstream);
    // The same address gives others another page, and this one will be gone tomorrow.
    res.headers.set("cache-control", "no-store");
  },
});
