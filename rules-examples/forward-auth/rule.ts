import { defineRule, respond } from "sluice";

declare module "sluice" {
  interface Vars {
    /** Where the auth service decides about a request; its origin must stand under `fetch.allow` or `fetch.private` in the config. */
    readonly authUrl?: string;
  }
}

/** Who somebody is, as the auth service says it. `forward` removes what a client sends under these names. */
const IDENTITY = ["x-auth-user", "x-auth-groups"];
/** Of the service's no: where to log in, and how. */
const PASSED_ON = ["content-type", "location", "www-authenticate"];

/** Asks a service that knows the sessions whether a request may pass; what it says when it may not is the answer. */
export default defineRule({
  when: { path: ["/admin", "/admin/*"] },
  order: -50,
  async onRequest(_req, ctx) {
    const { authUrl } = ctx.vars;
    if (authUrl === undefined) throw new Error("vars.authUrl is missing from the config");
    const yes = await ctx.auth.forward({ url: authUrl, copyRequestHeaders: ["accept", "authorization", "cookie"], copyResponseHeaders: IDENTITY });
    if (yes) return;

    const { reason, refusal } = ctx.auth;
    if (reason === "unavailable" || refusal === null) {
      ctx.log.error(`auth service: ${refusal === null ? "no answer" : refusal.status}`);
      return respond(503, "Nobody can be let in right now. Please try again.\n", { "retry-after": "10", "cache-control": "no-store" });
    }
    ctx.metric("auth_refused", 1, { status: String(refusal.status) });
    const headers = Object.entries(refusal.headers).filter(([name]) => PASSED_ON.includes(name));
    // A login remembers in cookies where it was asked for and what it expects back.
    const cookies = refusal.setCookies.map((cookie) => ["set-cookie", cookie] as const);
    return respond(refusal.status, refusal.body, [...headers, ...cookies, ["cache-control", "no-store"]]);
  },
});
