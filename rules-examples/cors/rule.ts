import { defineRule, respond } from "sluice";

/** Pages of these origins may call the API, with cookies. Compared whole: an origin is scheme, host and port. */
const ALLOWED: ReadonlySet<string> = new Set(["https://app.example.com", "https://admin.example.com", "http://localhost:5173"]);
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"];
const REQUEST_HEADERS = ["content-type", "authorization", "x-request-id"];
/** What a page may read beside the few that it always may. */
const EXPOSED_HEADERS = ["x-request-id", "retry-after"];
/** For how long a browser asks no second time. Chromium keeps no more than two hours. */
const MAX_AGE_S = 7200;

/** Cross-origin calls as the Fetch standard wants them (section 3.3, "HTTP extensions"). */
export default defineRule({
  when: { path: "/api/*" },
  // Before logins and keys: a browser sends a preflight without either.
  order: -90,
  onRequest(req) {
    // An OPTIONS without these two is a question to the API itself.
    if (req.method !== "OPTIONS" || !req.headers.has("origin") || !req.headers.has("access-control-request-method")) return;
    // Without the headers below the browser stops here; the status is for whoever looks for the reason.
    if (!isAllowed(req.headers.get("origin"))) return respond(403, { error: "this origin may not call the API" });
    return respond(204, undefined, {
      "access-control-allow-methods": METHODS.join(", "),
      "access-control-allow-headers": REQUEST_HEADERS.join(", "),
      "access-control-max-age": String(MAX_AGE_S),
    });
  },
  // On every answer, errors of the gateway too: a page that can't read a 503 can't say what is wrong.
  onResponse(res, req) {
    const origin = req.headers.get("origin");
    // Also when there is none: a cache must not hand what a stranger got to a page, nor the other way round.
    res.headers.append("vary", req.method === "OPTIONS" ? "origin, access-control-request-method, access-control-request-headers" : "origin");
    // One place decides; two headers of one name would be none.
    for (const name of ["access-control-allow-origin", "access-control-allow-credentials", "access-control-expose-headers"]) res.headers.delete(name);
    if (!isAllowed(origin)) return;
    res.headers.set("access-control-allow-origin", origin);
    res.headers.set("access-control-allow-credentials", "true");
    res.headers.set("access-control-expose-headers", EXPOSED_HEADERS.join(", "));
  },
});

function isAllowed(origin: string | null): origin is string {
  return origin !== null && ALLOWED.has(origin);
}
