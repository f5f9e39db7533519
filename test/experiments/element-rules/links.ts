import { defineRule } from "sluice";

/** Paths say what is tried. */
export default defineRule({
  when: { path: "/links/*" },
  onResponse(res, _req, ctx) {
    let seen = 0;
    res.html.setAttribute("a", "data-first", "1");
    res.html.on("a[href]", {
      element(el) {
        seen++;
        const href = el.getAttribute("href")!;
        if (href.startsWith("http:")) el.setAttribute("href", href.replace("http:", "https:"));
        el.setAttribute("data-n", String(seen));
        el.append(` [${el.tagName} ${seen} ${el.attributes.map(([name]) => name).join("+")}]`);
      },
    });
    res.html.setAttribute("a", "data-n", "over");
    res.html.on("p", {
      async element(el) {
        await new Promise((resolve) => setTimeout(resolve, 1));
        if (el.getAttribute("title") === "größe & co") el.setText("found");
        ctx.log.info(`p ${el.getAttribute("title")}`);
      },
    });
    res.html.on("div.gone", { element: (el) => el.remove() });
    res.html.on("b", {
      element(el) {
        el.addClass("x");
        el.removeAttribute("id");
        el.before({ html: "<i>" });
        el.after({ html: "</i>" });
      },
    });
    res.html.on("b", {
      element(el) {
        el.setHtml(`<u>${el.getAttribute("class")} ${el.hasAttribute("id")}</u>`);
      },
    });
  },
});
