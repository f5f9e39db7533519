/** Compiled, never run: what editors must accept and refuse in an experiment. */
import { html } from "../../sdk/html.ts";
import { claim, cookie, defineExperiment, header } from "../../sdk/experiment.ts";

const goals = { purchase: { when: { method: "POST", path: "/checkout", status: "2xx" } } } as const;

defineExperiment({ key: "a", variants: { control: 50, bold: 50 }, apply: { bold: { headers: { "x-a": null } } }, goals, primary: "purchase" });
for (const unit of ["visitor", cookie("sid"), header("x-user"), claim("sub", { secret: "jwtKey" })] as const) {
  defineExperiment({ key: "a", variants: { control: 50, bold: 50 }, goals, unit });
}
defineExperiment({ key: "a", variants: { control: 50, bold: 50 }, goals, unit: (req) => req.cookie("sid") });
// @ts-expect-error: no such variant
defineExperiment({ key: "a", variants: { control: 50, bold: 50 }, apply: { blod: {} }, goals });
// @ts-expect-error: no such goal
defineExperiment({ key: "a", variants: { control: 50, bold: 50 }, goals, primary: "purchas" });
// @ts-expect-error: a share has its sign
defineExperiment({ key: "a", variants: { control: 50, bold: 50 }, goals, traffic: 0.5 });
// @ts-expect-error: no goals
defineExperiment({ key: "a", variants: { control: 50, bold: 50 } });

// @ts-expect-error: a duration has its unit
defineExperiment({ key: "a", variants: { control: 50, bold: 50 }, goals, prePeriod: 14 });

// The three examples that the documentation shows.
defineExperiment({
  key: "new-cart",
  variants: { control: 50, next: 50 },
  traffic: "0%",
  prePeriod: "14d",
  goals: { revenue: { when: { method: "POST", path: "/checkout" }, value: { json: "/order/total" } } },
});
defineExperiment({
  key: "hero-copy",
  when: { host: "shop.example.com", path: "/" },
  variants: { control: 50, bold: 50 },
  traffic: "100%",
  layer: "homepage",
  unit: "visitor",
  apply: { bold: { html: [html.setText("h1", "Buy it now"), html.setAttribute("a.cta", "class", "cta big")] } },
  goals: {
    purchase: { when: { method: "POST", path: "/checkout", status: "2xx" } },
    revenue: { when: { method: "POST", path: "/checkout" }, value: { json: "/order/total" } },
  },
  guardrails: { errors: { maxIncrease: "1%" }, latencyP95: { maxIncrease: "20%" } },
});
defineExperiment({
  key: "new-checkout",
  when: { path: "/checkout/*" },
  unit: claim("sub", { jwksUrl: "https://auth.example.com/keys.json" }),
  fallbackUnit: "visitor",
  variants: { control: 90, next: 10 },
  apply: { next: { upstream: "checkout-next" } },
  goals: { paid: { tracked: "conversion", window: "2d" } },
});
