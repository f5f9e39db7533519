import { defineRule } from "sluice";

export default defineRule({
  when: { path: "/*" },
  onFailure: "closed",
  onResponse(res, req) {
    switch (req.path) {
      case "/selector":
        res.html.remove("h1:hover");
        break;
      case "/attribute":
        res.html.setAttribute("h1", "on click", "x");
        break;
      case "/text-again":
        res.html.setText("h1", "first");
        res.html.setText("h1", req.query.get("text") ?? "second");
        break;
      case "/body":
        res.html.append("h1", "!");
        res.setBody("<h1>from the rule</h1>");
        break;
      default:
        res.html.setText("h1", "edited");
    }
  },
});
