import { defineRule } from "sluice";

/** Runs second on the way in, first on the way out; only below what it matches. */
export default defineRule({
  when: { not: { path: "/unmatched" } },
  order: 20,
  onRequest(req) {
    req.headers.set("x-order", `${req.headers.get("x-order") ?? ""} second`);
  },
  onResponse(res) {
    res.headers.append("x-way-out", "second");
  },
});
