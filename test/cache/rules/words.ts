import { defineRule, respond } from "sluice";

export default defineRule({
  async onRequest(req, ctx) {
    switch (req.path) {
      case "/cookie":
        req.headers.set("x-for", req.cookie("sid") ?? "");
        break;
      case "/header":
        req.headers.set("x-for", req.headers.get("x-group") ?? "");
        break;
      case "/all-headers":
        req.headers.set("x-for", String([...req.headers].length));
        break;
      case "/random":
        req.headers.set("x-for", String(ctx.random()));
        break;
      case "/uuid":
        req.headers.set("x-for", crypto.randomUUID());
        break;
      case "/keyed":
        req.cacheKey({ cookies: ["plan"], headers: ["X-Group"], parts: ["v2"] });
        req.headers.set("x-for", `${req.cookie("plan")} ${req.headers.get("x-group")}`);
        break;
      case "/wrong-key":
        req.cacheKey({ header: ["x"] } as never);
        break;
      case "/host":
        req.headers.set("x-for", req.headers.get("host") ?? "");
        break;
      case "/value": {
        const held = await ctx.cache.get<{ n: number }>("n");
        if (held !== null) return respond(200, held);
        await ctx.cache.put("n", { n: 1 }, { lifetime: "1m", tags: ["numbers"] });
        return respond(200, "put");
      }
      case "/value-gone":
        await ctx.cache.delete("n");
        return respond(200, "gone");
    }
  },
  onOriginRequest(req, ctx) {
    if (req.path === "/address") req.headers.set("x-for", ctx.client.address);
  },
  onOriginResponse(res, req) {
    if (req.path === "/set-cookie") res.cache({ store: true, lifetime: "1m" });
    if (req.path === "/never") res.cache({ store: false });
    if (req.path === "/wrong-lifetime") res.cache({ lifetime: "soon" as never });
  },
  onResponse(res, req) {
    // Behind the cache: every client its own.
    res.headers.set("x-greeting", `${req.cookie("sid") ?? "stranger"} ${res.from}`);
  },
});
