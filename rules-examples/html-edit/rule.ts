import { defineRule } from "sluice";

/** The shop's pages as the origin sends them, with what marketing wants this week. */
export default defineRule({
  when: { method: ["GET", "HEAD"], path: "/*" },
  // A page without the banner is better than none.
  onFailure: "open",
  onResponse(res, req) {
    const name = req.cookie("first-name");
    // What comes from a visitor is text: it is escaped, whatever it holds.
    if (name !== null) res.html.setText("header .greeting", `Welcome back, ${decodeURIComponent(name)}`);
    if (req.path === "/") {
      res.html.before("main > h1:first-child", { html: `<p class="banner">Free delivery until Sunday</p>` });
      res.html.setAttribute("a.cta", "href", "/sale?from=banner");
    }
    // What depends on the page itself is decided element by element, while it streams.
    res.html.on("a[href^='http:']", {
      element(link) {
        const href = link.getAttribute("href") ?? "";
        if (href.startsWith("http://shop.example.com/")) link.setAttribute("href", href.replace("http:", "https:"));
        else link.setAttribute("rel", "external noopener");
      },
    });
    res.html.remove("script[src^='https://old-tracker.example/']");
    // The page's own policy names the nonce that lets it run.
    res.html.insertScript({ src: "/assets/measure.js" }, { defer: true, nonce: "page" });
  },
});
