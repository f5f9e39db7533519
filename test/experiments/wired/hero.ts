import { defineExperiment, html } from "sluice";

export default defineExperiment({
  key: "hero",
  when: { path: "/hero" },
  variants: { control: 50, bold: 50 },
  apply: { bold: { html: [html.setText("h1", "Buy it now")], headers: { "x-hero": "bold" }, cookies: { seen: "1" } } },
  goals: { bought: { when: { method: "POST", path: "/buy" } } },
});
