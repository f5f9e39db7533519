import { defineRule } from "sluice";

/** Addresses that people see, and the ones that the origin knows. */
export default defineRule({
  when: { path: ["/p/:id", "/assets/:version(v\\d+)/:file+"] },
  onRequest(req) {
    const { id, file } = req.params;
    if (id !== undefined) req.path = `/products/${id}`;
    else if (file !== undefined) req.path = `/assets/${file}`;
  },
  onResponse(res, req) {
    // A new version has a new address, so a browser never has to ask for this one again (RFC 8246).
    if (req.params.version !== undefined && res.status === 200) res.headers.set("cache-control", "public, max-age=31536000, immutable");
  },
});
