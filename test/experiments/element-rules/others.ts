import { defineRule } from "sluice";

/** In a context of its own, because of its secret: its callbacks are another hook call's. */
export default defineRule({
  when: { path: ["/open", "/closed", "/links/*"] },
  secrets: ["mark"],
  order: 1,
  onResponse(res, req, ctx) {
    if (req.query.get("how") === "bad-selector") res.html.on("i:hover", { element() {} });
    res.html.on("i, a", { element: (el) => el.setAttribute("data-mark", ctx.secrets.mark) });
  },
});
