/** What an experiment says, in one sentence for someone who knows no statistics. */
import type { Analysis, GoalComparison, VariantAnalysis } from "./analysis.ts";
import type { Interval } from "./samples.ts";

/** In the order in which one overrules the other. */
export type VerdictOutcome = "mismatch" | "guardrail" | "waiting" | "winner" | "loser" | "open";

export interface Verdict {
  readonly outcome: VerdictOutcome;
  /** The variant that it is about, where it is about one. */
  readonly variant: string | null;
  readonly sentence: string;
}

export function verdictOf(analysis: Analysis): Verdict {
  return mismatch(analysis) ?? guardrail(analysis) ?? waiting(analysis) ?? winner(analysis) ?? loser(analysis) ?? open(analysis);
}

function mismatch({ mismatch, units }: Analysis): Verdict | null {
  if (!mismatch.found) return null;
  const total = units.reduce((sum, arm) => sum + arm.units, 0);
  const seen = units.map(
    (arm) => `${arm.variant} got ${percent(total === 0 ? 0 : arm.units / total, 1)} of the visitors instead of ${percent(arm.expectedShare, 1)}`,
  );
  return {
    outcome: "mismatch",
    variant: null,
    sentence: `Do not trust this test: ${listed(seen)}, which chance does not explain, so visitors of one variant are being lost or counted twice.`,
  };
}

function guardrail({ variants }: Analysis): Verdict | null {
  for (const { variant, guardrails } of variants) {
    const { errors, latency } = guardrails;
    if (errors?.outcome === "fail") {
      const more = percent(errors.increase!.low, 1);
      return {
        outcome: "guardrail",
        variant,
        sentence: `Stop: ${variant} gives at least ${more} more of its visitors an error than control does, which is more than you allowed.`,
      };
    }
    if (latency?.outcome === "fail") {
      const more = percent(latency.increase!.low, 0);
      return { outcome: "guardrail", variant, sentence: `Stop: ${variant} is slower than control by at least ${more}, which is more than you allowed.` };
    }
  }
  return null;
}

function waiting({ units, variants }: Analysis): Verdict | null {
  if (variants.some(({ goals }) => goals[0]?.sequential)) return null;
  const total = units.reduce((sum, arm) => sum + arm.units, 0);
  const sentence =
    total === 0 ? "No visitor has met this test yet." : `Too early to say anything: ${count(total)} visitors have met this test so far. Let it run.`;
  return { outcome: "waiting", variant: null, sentence };
}

function winner(analysis: Analysis): Verdict | null {
  const winners = analysis.variants.filter(({ goals }) => goals[0]?.outcome === "better");
  const best = winners.reduce<VariantAnalysis | null>(
    (found, one) => (found === null || Math.abs(changeOf(one)) > Math.abs(changeOf(found)) ? one : found),
    null,
  );
  if (best === null) return null;
  const held = [best.guardrails.errors, best.guardrails.latency].some((result) => result?.outcome === "hold");
  const advice = held ? "but a guardrail has not passed yet, so let it run a little longer" : "and you can ship it";
  return { outcome: "winner", variant: best.variant, sentence: `${best.variant} is better than control: ${described(best.goals[0]!)}, ${advice}.` };
}

function loser(analysis: Analysis): Verdict | null {
  const { variants } = analysis;
  if (!variants.every(({ goals }) => goals[0]?.outcome === "worse")) return null;
  const worst = variants[0]!;
  const who = variants.length === 1 ? `${worst.variant} is worse than control` : "All variants are worse than control";
  const which = variants.length === 1 ? described(worst.goals[0]!) : `with ${worst.variant}, ${described(worst.goals[0]!)}`;
  return { outcome: "loser", variant: variants.length === 1 ? worst.variant : null, sentence: `${who}: ${which}. Keep what you have.` };
}

function open({ units, variants }: Analysis): Verdict {
  const total = units.reduce((sum, arm) => sum + arm.units, 0);
  const first = variants.find(({ goals }) => goals[0]?.outcome === "open") ?? variants[0]!;
  const { goal, sequential } = first.goals[0]!;
  const range = sequential?.relative
    ? `, and the true change of ${goal} may be anything from ${edge(sequential.relative.low)} to ${edge(sequential.relative.high)}`
    : "";
  return {
    outcome: "open",
    variant: null,
    sentence: `No clear difference between ${first.variant} and control after ${count(total)} visitors${range}. Let it run, or stop if a change of that size does not matter to you.`,
  };
}

/** `purchase went from 10.0 % to 12.1 %, a change of +21 % (at least +8 %)`. */
function described({ goal, control, variant, lift, sequential, belief, varianceSaved }: GoalComparison): string {
  const [from, to] = belief === null ? [plain(control.mean), plain(variant.mean)] : [percent(control.mean, 1), percent(variant.mean, 1)];
  const relative = sequential?.relative ?? null;
  const least = relative === null || lift === null ? "" : bound(relative, lift);
  return `${goal} went from ${from} to ${to}${lift === null ? "" : `, a change of ${signed(lift)}${least}`}${varianceSaved > 0 ? ", allowing for what visitors did before" : ""}`;
}

/** The end of the interval that is nearer to nothing; left out where the ratio is less certain than the difference. */
function bound({ low, high }: Interval, lift: number): string {
  const nearer = lift > 0 ? low : high;
  return Math.sign(nearer) === Math.sign(lift) ? ` (at least ${signed(nearer)})` : "";
}

function changeOf({ goals }: VariantAnalysis): number {
  return goals[0]!.lift ?? goals[0]!.variant.mean - goals[0]!.control.mean;
}

const count = (units: number): string => units.toLocaleString("en-US");
const plain = (value: number): string => value.toLocaleString("en-US", { maximumSignificantDigits: 4 });
const percent = (share: number, digits: number): string => `${(share * 100).toFixed(digits)} %`;

/** One digit below 10 %, none above: "+0 %" would say that nothing changed. */
function signed(share: number): string {
  const digits = Math.abs(share) < 0.0995 ? 1 : 0;
  return `${share < 0 ? "−" : "+"}${Math.abs(share * 100).toFixed(digits)} %`;
}

/** As far as anybody can picture it. */
function edge(share: number): string {
  return share > 10 ? "over +1,000 %" : share < -1 ? "under −100 %" : signed(share);
}

function listed(parts: readonly string[]): string {
  return parts.length < 2 ? parts.join("") : `${parts.slice(0, -1).join(", ")} and ${parts.at(-1)}`;
}
