import { defineExperiment, html } from "sluice";

/** Does pressure sell pots? `hurry` says that they are running out. */
export default defineExperiment({
  key: "product-hurry",
  when: { path: "/products/:id", method: ["GET", "HEAD"] },
  variants: { control: 50, hurry: 50 },
  apply: {
    hurry: {
      html: [
        html.before(".detail button[data-add]", { html: `<p class="hurry">Only a few left. Three people look at it right now!</p>` }),
        html.insertStyle(".detail .hurry { background: #b4532f; color: #fff; padding: 0.5rem 0.9rem; border-radius: 4px; font-weight: 600; }", {
          nonce: "page",
        }),
      ],
    },
  },
  goals: {
    ordered: { when: { method: "POST", path: "/checkout", status: "3xx" } },
    // The origin names the sum in a header of its answer.
    revenue: { when: { method: "POST", path: "/checkout", status: "3xx" }, value: { header: "x-order-total" } },
    checkout: { when: { method: "GET", path: "/checkout" } },
  },
  guardrails: { errors: { maxIncrease: "1%" } },
});
