import { defineExperiment, html } from "sluice";

/** Does the home page sell more when it says what a visitor gets? The pages stay as they are: the gateway edits them. */
export default defineExperiment({
  key: "hero-offer",
  when: { path: "/", method: ["GET", "HEAD"] },
  // The first is control: the page as the origin sends it.
  variants: { control: 50, offer: 50 },
  apply: {
    offer: {
      html: [
        html.setText(".hero a.cta", "Choose your pot"),
        html.after(".hero a.cta", { html: `<p class="offer">Thrown this week, sent tomorrow. Broken ones are replaced.</p>` }),
        html.insertStyle(".hero .card .offer { margin: 1rem 0 0; font-size: 0.95rem; font-weight: 600; }", { nonce: "page" }),
      ],
    },
  },
  // Seen in the traffic: no page has to report anything. The first decides.
  goals: {
    ordered: { when: { method: "POST", path: "/checkout", status: "3xx" } },
    looked: { when: { method: "GET", path: "/products/:id" } },
  },
  guardrails: { errors: { maxIncrease: "1%" }, latencyP95: { maxIncrease: "50%" } },
});
