import { defineRule, respond } from "sluice";

/** What the request says goes into the call as it stands. */
export default defineRule({
  async onRequest(req, ctx) {
    const { name, options } = await req.json<{ name: string; options: Parameters<typeof ctx.limit>[1] }>();
    try {
      return respond(200, await ctx.limit(name, options));
    } catch (thrown) {
      return respond(400, String(thrown));
    }
  },
});
