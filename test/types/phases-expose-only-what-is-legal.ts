/** Type tests: `tsc -p .` runs them. Each hook's parameters show what may be done in its phase, and nothing else. */
import { expectTypeOf } from "expect-type";
import { defineRule, next, redirect, respond, type Answer, type AuthReason, type Claims, type JsonValue, type KvStored, type Rule } from "sluice";

export const onRequest = defineRule({
  async onRequest(req, ctx) {
    req.method = "POST";
    req.path = "/x";
    req.query = "a=1";
    req.query.set("a", "2");
    req.headers.set("x-a", "1");
    req.headers.append("x-a", "2");
    req.headers.delete("x-a");
    req.upstream = "shop";
    expectTypeOf(req.params).toEqualTypeOf<Readonly<Record<string, string>>>();
    expectTypeOf(await req.text()).toEqualTypeOf<string>();
    expectTypeOf(await req.json()).toEqualTypeOf<unknown>();
    expectTypeOf(await req.bytes()).toEqualTypeOf<Uint8Array>();
    expectTypeOf(await ctx.auth.jwt({ key: "k" })).toEqualTypeOf<Claims | null>();
    expectTypeOf(await ctx.auth.basic({ users: { ada: "secret" } })).toEqualTypeOf<{ readonly user: string } | null>();
    expectTypeOf(await ctx.auth.apiKey({ from: { header: "x-key" }, verify: (key) => (key === "k" ? { plan: 1 } : null) })).toEqualTypeOf<{
      plan: number;
    } | null>();
    expectTypeOf(ctx.auth.reason).toEqualTypeOf<AuthReason | null>();
    expectTypeOf(ctx.fetch("https://a.example/")).resolves.toEqualTypeOf<Response>();
    ctx.log("a", 1);
    ctx.log.warn({ a: 1 });
    ctx.metric("seen", 1, { kind: "a" });
    ctx.waitUntil(Promise.resolve(1));
    expectTypeOf(ctx.now()).toEqualTypeOf<number>();

    // @ts-expect-error the URL is derived: change path and query
    req.url = "https://a.example/";
    // @ts-expect-error where the client connected is a fact
    req.host = "a.example";
    // @ts-expect-error groups are what matched
    req.params = {};
    // @ts-expect-error there is no response yet, so no response header to write
    req.status = 200;
    // @ts-expect-error targets are picked when the origin is about to be called
    req.target = "http://127.0.0.1:9001";
    // @ts-expect-error the request's body is replaced in onOriginRequest
    req.setBody("x");
    expectTypeOf(await ctx.kv.get<{ a: number }>("k")).toEqualTypeOf<{ a: number } | null>();
    expectTypeOf(await ctx.kv.get("k")).toEqualTypeOf<JsonValue>();
    expectTypeOf(await ctx.kv.set("k", { any: ["thing"] }, { ttl: "1h", ifVersion: "" })).toEqualTypeOf<KvStored>();
    expectTypeOf(await ctx.kv.increment("k", { by: -2, ttl: "30s" })).toEqualTypeOf<number>();
    // @ts-expect-error a lifetime has a unit
    await ctx.kv.set("k", 1, { ttl: 30 });
    // @ts-expect-error what is stored must be said
    await ctx.kv.set("k");
    expectTypeOf(await ctx.cache.get("k")).toEqualTypeOf<JsonValue>();
    // @ts-expect-error a lifetime must be said
    await ctx.cache.put("k", 1, {});
    req.cacheKey({ query: { exclude: ["utm_*"] }, parts: ["b"] });
    void ctx.limit;
    // @ts-expect-error who counts must be said
    await ctx.limit("per-user", { rate: "100/1m" });
    // @ts-expect-error a rate has a number in front
    await ctx.limit("per-user", { key: "k", rate: "fast" });
    expectTypeOf(ctx.experiment("hero-copy").variant).toEqualTypeOf<string>();
    // @ts-expect-error a variant is told, not set
    ctx.experiment("hero-copy").variant = "bold";
    ctx.track("signup", 1.5);
    // @ts-expect-error a value is a number
    ctx.track("signup", "1.5");
    // @ts-expect-error a key or a key set's URL is needed
    await ctx.auth.jwt({ issuer: "x" });
    // @ts-expect-error one of both
    await ctx.auth.jwt({ key: "k", jwksUrl: "https://a.example/jwks" });
    // @ts-expect-error no algorithm of that name is believed
    await ctx.auth.jwt({ key: "k", algorithms: ["none"] });
  },
});

defineRule({
  // @ts-expect-error a response header is written in a response phase: onRequest gets no response
  onRequest(_res, req: { headers: { set(name: string, value: string): void } }, _ctx: unknown) {
    req.headers.set("x-a", "1");
  },
});

defineRule({
  onOriginRequest(req, ctx) {
    req.headers.set("x-a", "1");
    req.target = "http://127.0.0.1:9001";
    req.setBody({ a: 1 });
    expectTypeOf(ctx.auth.challenge).toEqualTypeOf<string>();
    // @ts-expect-error the upstream has been chosen
    req.upstream = "other";
  },
});

defineRule({
  // @ts-expect-error onOriginRequest can't answer
  onOriginRequest: () => respond(200),
});

defineRule({
  async onOriginResponse(res, req, ctx) {
    res.headers.set("x-a", "1");
    res.setBody((await res.text()).toUpperCase());
    expectTypeOf(res.from).toEqualTypeOf<"upstream" | "cache" | "rule" | "gateway">();
    // @ts-expect-error pages are edited when they are delivered, in onResponse
    res.html.remove("h1");
    // @ts-expect-error the status changes on delivery, in onResponse
    res.status = 200;
    // @ts-expect-error the request is over
    req.headers.set("x-a", "1");
    // @ts-expect-error the request is over
    req.path = "/";
    // @ts-expect-error asking who it is belongs to the request phases
    void ctx.auth;
  },
});

defineRule({
  async onResponse(res, req, ctx) {
    res.status = 404;
    res.headers.append("x-a", "1");
    res.setBody(new Uint8Array(1));
    expectTypeOf(res.html.setText("h1", "x")).toEqualTypeOf<void>();
    // @ts-expect-error markup has to be asked for with setHtml
    res.html.setText("h1", { html: "<b>" });
    expectTypeOf(req.headers.get("x")).toEqualTypeOf<string | null>();
    expectTypeOf(req.cookie("x")).toEqualTypeOf<string | null>();
    await ctx.fetch("https://a.example/", { method: "POST", body: "x", signal: AbortSignal.timeout(5) });
    // @ts-expect-error who made it is a fact
    res.from = "rule";
    // @ts-expect-error the request is over
    req.headers.delete("x");
    // @ts-expect-error asking who it is belongs to the request phases
    void ctx.auth;
    // @ts-expect-error the request's body is read in the request phases
    void req.text();
  },
});

defineRule({
  // @ts-expect-error onResponse changes what is there; it can't answer
  onResponse: () => respond(200),
});

defineRule({
  onError(error, req) {
    expectTypeOf(error.code).toEqualTypeOf<string>();
    req.upstream = "fallback";
    // @ts-expect-error only another upstream can be asked for
    req.path = "/";
    // @ts-expect-error only another upstream can be asked for
    req.headers.set("x", "1");
    return error.status === 504 ? respond(503, "busy") : redirect("/sorry", 303);
  },
});

interface Notes {
  startedAt: number;
}
defineRule<Notes>({
  onRequest(_req, ctx) {
    ctx.state.startedAt = ctx.now();
    // @ts-expect-error a number was declared
    ctx.state.startedAt = "now";
    // @ts-expect-error not declared
    ctx.state.other = 1;
  },
  onComplete(done, req, ctx) {
    expectTypeOf(done.durationMs).toEqualTypeOf<number>();
    // It may not have been written: another rule's answer skips onRequest, not onComplete.
    expectTypeOf(ctx.state.startedAt).toEqualTypeOf<number | undefined>();
    // @ts-expect-error nothing is left to change
    ctx.state.startedAt = 1;
    // @ts-expect-error nothing is left to change
    done.status = 200;
    // @ts-expect-error nothing is left to change
    req.headers.set("x", "1");
    // @ts-expect-error the response is gone
    void done.headers;
  },
});

defineRule({
  // @ts-expect-error onComplete returns nothing
  onComplete: () => respond(200),
});

defineRule({
  // @ts-expect-error a number is no answer
  onRequest: () => 200,
});

// @ts-expect-error not a hook
defineRule({ onFetch() {} });

// All the ways to carry on.
defineRule({ onRequest: () => next });
defineRule({ onRequest: () => undefined });
defineRule({ async onRequest() {} });
defineRule({
  onRequest(req) {
    if (req.path === "/a") return respond(200);
    return undefined;
  },
});

expectTypeOf(onRequest).toEqualTypeOf<Rule>();
expectTypeOf(respond(200)).toEqualTypeOf<Answer>();
// @ts-expect-error no redirect has that status
redirect("/x", 200);
