import { defineRule, respond } from "sluice";

declare module "sluice" {
  interface Vars {
    /** SHA-256 of a key, in lowercase hex → whose it is. */
    readonly apiKeys?: Readonly<Record<string, ApiCaller>>;
  }
}

interface ApiCaller {
  readonly name: string;
  /** May it change something? No when left out. */
  readonly mayWrite?: boolean;
}

const READS = ["GET", "HEAD", "OPTIONS"];

export default defineRule({
  when: { path: "/api/*", not: { path: "/api/status" } },
  order: -50,
  async onRequest(req, ctx) {
    // Only this rule may say who is calling.
    req.headers.delete("x-api-caller");

    const known = ctx.vars.apiKeys;
    // Nobody gets in because a deployment forgot its vars.
    if (known === undefined) throw new Error("vars.apiKeys is missing from the config");
    const caller = await ctx.auth.apiKey({
      from: { header: "x-api-key" },
      // What is looked up is a digest: time tells nothing about a key, and whoever reads the config finds none.
      verify: async (key) => known[await sha256(key)],
    });
    if (!caller) {
      ctx.log.info(`refused: ${ctx.auth.reason}`);
      ctx.metric("api_refused", 1, { reason: ctx.auth.reason ?? "" });
      return respond(401, { error: "a valid x-api-key is needed" }, { "www-authenticate": 'ApiKey realm="api"', "cache-control": "no-store" });
    }
    if (!caller.mayWrite && !READS.includes(req.method)) return respond(403, { error: `the key of ${caller.name} may only read` });

    ctx.metric("api_calls", 1, { caller: caller.name });
    req.headers.set("x-api-caller", caller.name);
    // The origin needs the name; the key would only end up in its log.
    req.headers.delete("x-api-key");
  },
});

async function sha256(text: string): Promise<string> {
  const digest = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));
  return new Uint8Array(digest).toHex();
}
