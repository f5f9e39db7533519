import { defineRule } from "sluice";

/** Fails, and is passed over. */
export default defineRule({
  when: { path: "/fails-open" },
  order: 30,
  onFailure: "open",
  onRequest(req) {
    req.headers.set("x-half-done", "must not be seen");
    throw new TypeError("fails open");
  },
});
