import { defineRule, respond } from "sluice";

/** Set by the shop itself; what a client says here is dropped. */
const NOT_FOR_CLIENTS = ["price", "discount", "state"];
/** What purchasing knows and visitors should not. */
const INTERNAL: ReadonlySet<string> = new Set(["cost", "supplier", "margin"]);

type Json = null | boolean | number | string | readonly Json[] | { readonly [name: string]: Json };
type JsonObject = Readonly<Record<string, Json>>;

/** Orders go in without what a client may not set; products come out without what only purchasing may see. */
export default defineRule({
  when: [
    { path: "/api/orders", method: "POST" },
    { path: ["/api/products", "/api/products/*"], method: ["GET", "HEAD"] },
  ],
  async onRequest(req) {
    if (req.method !== "POST") {
      // To a HEAD an origin states the length of what it would have sent, not of what is left of it.
      req.method = "GET";
      // Half a document is no JSON.
      req.headers.delete("range");
      return;
    }
    // A hook before the origin can't answer any more, so what is wrong with the body is said here.
    if (!isJson(req.headers.get("content-type"))) return respond(415, { error: "an order is JSON" }, { accept: "application/json" });
    try {
      if (!isObject(await req.json<Json>())) return respond(400, { error: "an order is a JSON object" });
    } catch (error) {
      if (error instanceof SyntaxError) return respond(400, { error: "the body is no JSON" });
      return respond(413, { error: "the order is larger than can be looked at" });
    }
  },
  async onOriginRequest(req, ctx) {
    if (req.method !== "POST") return;
    // Kept from the hook above: the same bytes, and no second wait.
    const order = await req.json<JsonObject>();
    const kept = Object.entries(order).filter(([name]) => !NOT_FOR_CLIENTS.includes(name));
    req.setBody({ ...Object.fromEntries(kept), source: "web", receivedAt: new Date(ctx.now()).toISOString() });
  },
  async onResponse(res, req) {
    if (!req.path.startsWith("/api/products") || res.from !== "upstream" || res.status === 304 || !isJson(res.headers.get("content-type"))) return;
    res.setBody(withoutInternal(await res.json<Json>()));
  },
});

function isJson(contentType: string | null): boolean {
  return /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(contentType ?? "");
}

function isObject(value: Json): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function withoutInternal(value: Json): Json {
  if (Array.isArray(value)) return value.map(withoutInternal);
  if (!isObject(value)) return value;
  const kept = Object.entries(value).filter(([name]) => !INTERNAL.has(name));
  return Object.fromEntries(kept.map(([name, inner]) => [name, withoutInternal(inner)]));
}
