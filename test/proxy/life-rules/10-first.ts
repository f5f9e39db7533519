import { defineRule, respond } from "sluice";

interface Notes {
  seen: string[];
}

/** Runs first on the way in, last on the way out. */
export default defineRule<Notes>({
  order: 10,
  async onRequest(req, ctx) {
    ctx.state.seen = ["first onRequest"];
    req.headers.set("x-order", "first");
    if (req.path === "/answered") return respond(203, { by: "first" }, { "x-by": "first" });
    if (req.path === "/rewritten") req.path = "/target?x=1".split("?")[0]!;
    if (req.path === "/elsewhere") req.upstream = "second";
    if (req.path === "/nowhere") req.upstream = "no-such-upstream";
    if (req.path === "/throws") throw new Error("on purpose");
    if (req.path === "/fetch") {
      const answer = await ctx.fetch("https://flags.example/v1", { method: "POST", body: "which?" });
      req.headers.set("x-flags", await answer.text());
    }
    return undefined;
  },
  async onOriginRequest(req, ctx) {
    if (req.path === "/echo") req.setBody((await req.text()).toUpperCase());
    (ctx.state.seen ??= []).push("first onOriginRequest");
    req.headers.delete("cookie");
  },
  async onOriginResponse(res, _req, ctx) {
    (ctx.state.seen ??= []).push("first onOriginResponse");
    if (res.headers.get("x-edit") === "yes") res.setBody((await res.text()).replace("origin", "edge"));
  },
  onResponse(res, req, ctx) {
    (ctx.state.seen ??= []).push("first onResponse");
    res.headers.append("x-way-out", "first");
    res.headers.set("x-from", res.from);
    res.headers.set("x-seen", ctx.state.seen.join(", "));
    if (req.path === "/teapot") res.status = 418;
  },
  onError(error, req) {
    if (req.path === "/second-chance") req.upstream = "second";
    if (req.path === "/both-fail") {
      if (req.upstream === "second") return respond(503, `both are away: ${error.code}`);
      req.upstream = "second";
    }
    if (req.path === "/ping-pong") req.upstream = req.upstream === "first" ? "second" : "first";
    if (req.path === "/friendly") return respond(503, `sorry: ${error.code}`);
    return undefined;
  },
  onComplete(done, req, ctx) {
    ctx.log(`complete ${req.path} ${done.status} ${ctx.state.seen?.length ?? 0}`);
  },
});
