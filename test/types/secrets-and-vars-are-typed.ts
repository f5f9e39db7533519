/** Type tests: `ctx.secrets` has the names that the rule declares, and no others. */
import { expectTypeOf } from "expect-type";
import { Hono } from "hono";
import { defineRule, fromFetchHandler } from "sluice";

defineRule({
  secrets: ["jwtKey", "apiKey"],
  async onRequest(req, ctx) {
    expectTypeOf(ctx.secrets).toEqualTypeOf<Readonly<Record<"jwtKey" | "apiKey", string>>>();
    // @ts-expect-error not declared
    void ctx.secrets.other;
    // @ts-expect-error secrets are read-only
    ctx.secrets.jwtKey = "x";
    // The example of the docs: a subject can be set as a header.
    const user = await ctx.auth.jwt({ key: ctx.secrets.jwtKey, issuer: "https://login.example.com" });
    if (user) req.headers.set("x-user", user.sub);
    if (user) expectTypeOf(user["role"]).toEqualTypeOf<unknown>();
  },
});

// With both type arguments written out.
defineRule<{ user: string }, "jwtKey">({
  secrets: ["jwtKey"],
  onRequest(_req, ctx) {
    ctx.state.user = ctx.secrets.jwtKey;
  },
});

// With the state alone, TypeScript infers no names: each may be missing.
defineRule<{ user: string }>({
  secrets: ["jwtKey"],
  onRequest(_req, ctx) {
    expectTypeOf(ctx.secrets["jwtKey"]).toEqualTypeOf<string | undefined>();
  },
});

defineRule<object, "jwtKey">({
  // @ts-expect-error another name than the one written out
  secrets: ["other"],
});

defineRule({
  onRequest(_req, ctx) {
    expectTypeOf(ctx.vars["theme"]).toEqualTypeOf<unknown>();
    // @ts-expect-error vars are read-only
    ctx.vars["theme"] = 1;
  },
});

// Handlers made for other runtimes fit as they are.
const app = new Hono<{ Bindings: { theme: string } }>();
defineRule({ when: { path: "/api/*" }, secrets: ["key"], onRequest: fromFetchHandler(app) });
export default fromFetchHandler({ fetch: (request: Request) => new Response(request.url) }, { when: { path: "/x" }, onFailure: "open" });
// @ts-expect-error there is no fetch
fromFetchHandler({ handle: () => new Response() });
// @ts-expect-error a handler answers with a Response
fromFetchHandler({ fetch: () => "text" });
