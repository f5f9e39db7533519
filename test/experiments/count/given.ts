/** An experiment, and what counting is told of exchanges. */
import type { CheckedGoal, Experiment } from "../../../sdk/experiment.ts";
import { defineExperiment } from "../../../sdk/experiment.ts";
import type { Assignment } from "../../../runtime/experiments/assign/plan.ts";
import type { GoalExchange } from "../../../runtime/experiments/count/counting.ts";

export const experiment: Experiment = defineExperiment({
  key: "hero-copy",
  when: { path: "/" },
  variants: { control: 50, bold: 50 },
  goals: {
    purchase: { when: { method: "POST", path: "/checkout", status: "2xx" } },
    revenue: { when: { path: "/checkout", status: ["2xx", 302] }, value: { header: "x-total" } },
    order: { when: { path: "/order" }, value: { json: "/order/total" } },
    used: { tracked: "conversion" },
    score: { tracked: "value" },
  },
  guardrails: { errors: { maxIncrease: "1%" }, latencyP95: { maxIncrease: "20%" } },
});

/** With a pre-period. */
export const watched: Experiment = defineExperiment({
  key: "new-cart",
  variants: { control: 50, next: 50 },
  prePeriod: "2d",
  goals: {
    revenue: { when: { path: "/checkout", status: ["2xx", 302] }, value: { header: "x-total" } },
    purchase: { when: { path: "/checkout", status: ["2xx", 302] } },
    score: { tracked: "value" },
  },
});

export function goalOf(name: string, of: Experiment = experiment): CheckedGoal {
  return of.goals.find((goal) => goal.name === name)!;
}

export function assigned(unit: string, index: number, more: Partial<Assignment> = {}): Assignment {
  return {
    experiment: experiment.key,
    variant: experiment.variants[index]!.key,
    index,
    reason: "bucketed",
    counted: true,
    unit,
    countAs: `visitor:${unit}`,
    bucketVersion: 0,
    stick: null,
    ...more,
  };
}

export function exchange(atUnixMs: number, more: Partial<GoalExchange> & { readonly headers?: Readonly<Record<string, string>> } = {}): GoalExchange {
  const { headers = {}, ...rest } = more;
  return {
    requestId: "r",
    atUnixMs,
    method: "GET",
    target: "/",
    idempotencyKey: null,
    status: 200,
    firstByteMs: 20,
    serverError: false,
    attributes: { path: "/" },
    header: (name) => headers[name] ?? null,
    body: null,
    ...rest,
  };
}
