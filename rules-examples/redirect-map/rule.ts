import { defineRule, redirect, respond } from "sluice";

/** Old path → new path; null: gone for good. Written once, decided in the core: other paths never enter the sandbox. */
const moved: Readonly<Record<string, string | null>> = {
  "/shop": "/",
  "/shop/mugs": "/categories/cups",
  "/shop/vases": "/categories/vases",
  "/index.php": "/",
  "/tableware/supper-bowl.html": "/products/201",
  "/newsletter": null,
};

export default defineRule({
  when: { path: Object.keys(moved) },
  order: -100,
  onRequest(req) {
    const to = moved[req.path];
    if (to === undefined) return;
    if (to === null) return respond(410, "This page is gone for good.\n");
    const query = req.query.toString();
    // 308 and not 301: a form posted to the old address is posted to the new one (RFC 9110 section 15.4.9).
    return redirect(query ? `${to}?${query}` : to, 308);
  },
});
