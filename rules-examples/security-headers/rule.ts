import { defineRule } from "sluice";

/** Set unless the origin has said it better itself. */
const always: Readonly<Record<string, string>> = {
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "strict-origin-when-cross-origin",
  "permissions-policy": "camera=(), microphone=(), geolocation=()",
  "cross-origin-opener-policy": "same-origin",
};

/** For the shop's own pages. Their styles stand partly in attributes; scripts never do. */
const contentSecurityPolicy = [
  "default-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "object-src 'none'",
  "base-uri 'none'",
  "form-action 'self'",
  "frame-ancestors 'none'",
].join("; ");

export default defineRule({
  // A header less is better than a shop less.
  onFailure: "open",
  onResponse(res, req) {
    for (const [name, value] of Object.entries(always)) {
      if (!res.headers.has(name)) res.headers.set(name, value);
    }
    if (res.from === "upstream" && res.headers.get("content-type")?.startsWith("text/html") && !res.headers.has("content-security-policy")) {
      res.headers.set("content-security-policy", contentSecurityPolicy);
    }
    // Browsers ignore it over http, and one that heeded it there could be locked out (RFC 6797 section 7.2).
    if (req.scheme === "https") res.headers.set("strict-transport-security", "max-age=31536000; includeSubDomains");
    res.headers.delete("x-target");
  },
});
