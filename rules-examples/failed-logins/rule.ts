import { defineRule, respond } from "sluice";

/** Wrong passwords for one account before it is closed … */
const ATTEMPTS = 5;
/** … and for how long, counted from the first of them. */
const WINDOW = "15m";

interface Notes extends Record<string, unknown> {
  account: string;
}

/**
 * Closes an account to guessing, on all gateways at once: an attacker with a thousand addresses still has five tries. Counts what the
 * origin refuses, so that it need not be changed.
 */
export default defineRule<Notes>({
  when: { method: "POST", path: "/login" },
  order: -40,
  // Nobody is locked out because the store is away.
  onFailure: "open",

  async onRequest(req, ctx) {
    const form = new URLSearchParams(await req.text());
    const account = (form.get("user") ?? "").trim().toLowerCase().slice(0, 200);
    if (account === "") return undefined;
    ctx.state.account = account;
    const failed = (await ctx.kv.get<number>(`failed-logins:${account}`)) ?? 0;
    if (failed < ATTEMPTS) return undefined;
    ctx.metric("login_blocked");
    return respond(429, "Too many wrong passwords for this account. Try again in a quarter of an hour.\n", { "retry-after": "900" });
  },

  async onResponse(res, _req, ctx) {
    const { account } = ctx.state;
    if (account === undefined || res.from !== "upstream") return;
    if (res.status === 401) await ctx.kv.increment(`failed-logins:${account}`, { ttl: WINDOW });
    else if (res.status < 400) await ctx.kv.delete(`failed-logins:${account}`);
  },
});
