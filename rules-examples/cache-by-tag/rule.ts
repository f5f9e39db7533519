/** Product pages from the cache, by tags that the back office can take out. See README.md. */
import { defineRule } from "sluice";

/** What advertisements add to links, and no page looks at. */
const CAMPAIGN = ["utm_*", "gclid", "fbclid", "msclkid"];

export default defineRule({
  when: { path: "/products/:id", method: ["GET", "HEAD"] },
  onRequest(req) {
    req.cacheKey({ query: { exclude: CAMPAIGN } });
  },
  onOriginRequest(req) {
    // The page is the same for everyone; an origin that sees a cookie might make it somebody's own.
    req.headers.delete("cookie");
  },
  onOriginResponse(res, req) {
    const tags = ["products", `product-${req.params["id"]}`];
    if (res.status === 200) res.cache({ lifetime: "1h", staleWhileRevalidate: "10m", staleIfError: "1d", tags });
    // A product that is not there yet may be in a moment.
    else if (res.status === 404) res.cache({ lifetime: "10s", tags });
  },
  onResponse(res) {
    // Names of our own, of no use to anyone outside.
    res.headers.delete("cache-tag");
  },
});
