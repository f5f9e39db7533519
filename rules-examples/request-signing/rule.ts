import { defineRule, respond } from "sluice";

/** How old a signature may be. Long enough for a retry, short enough that a captured request is soon worth nothing. */
const MAX_AGE_S = 300;

/** Lets in webhooks that are signed as RFC 9421 says, over method, address, content type and (by its digest) the body. */
export default defineRule({
  when: { path: "/webhooks/*" },
  order: -50,
  secrets: ["webhookKey"],
  async onRequest(req, ctx) {
    // Only this rule may say who has signed.
    req.headers.delete("x-webhook-sender");
    if (req.method !== "POST") return respond(405, { error: "webhooks are posted" }, { allow: "POST" });

    const sender = await ctx.auth.hmac({
      secret: ctx.secrets.webhookKey,
      // A signature that leaves out the digest would hold for any body.
      headers: ["content-digest", "content-type"],
      maxAge: MAX_AGE_S,
    });
    if (!sender) {
      ctx.log.warn(`webhook refused: ${ctx.auth.reason}`);
      ctx.metric("webhooks_refused", 1, { reason: ctx.auth.reason ?? "" });
      return respond(401, { error: `signature: ${ctx.auth.reason}` }, { "www-authenticate": 'Signature realm="webhooks"', "cache-control": "no-store" });
    }
    req.headers.set("x-webhook-sender", sender.keyId);
  },
});
