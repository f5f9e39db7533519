/** What is believed of the rates themselves, beginning from a uniform prior: each arm's rate is beta distributed. No test, and shown as none. */
import { incompleteBeta, logBeta } from "./gamma.ts";
import type { RateCounts } from "./samples.ts";

export interface Belief {
  /** That the variant's rate is above control's. */
  readonly chance: number;
  /** What is lost on average, in rate, by taking the variant: the mean of max(control − variant, 0). */
  readonly expectedLoss: number;
}

interface Beta {
  readonly a: number;
  readonly b: number;
}

const posterior = ({ units, conversions }: RateCounts): Beta => ({ a: 1 + conversions, b: 1 + units - conversions });
const meanOf = ({ a, b }: Beta): number => a / (a + b);
const raised = ({ a, b }: Beta): Beta => ({ a: a + 1, b });

export function belief(control: RateCounts, variant: RateCounts): Belief {
  const [a, b] = [posterior(control), posterior(variant)];
  const chance = chanceAbove(b, [a]);
  // E[A; A > B] is A's mean times the chance under the beta distribution weighted by its own value, which is beta again.
  const loss = meanOf(a) * chanceAbove(raised(a), [b]) - meanOf(b) * (1 - chanceAbove(raised(b), [a]));
  return { chance, expectedLoss: Math.max(0, loss) };
}

/** For each arm the chance that it is the best of all. */
export function chancesOfBest(arms: readonly RateCounts[]): readonly number[] {
  const betas = arms.map(posterior);
  return betas.map((own, i) => chanceAbove(own, betas.toSpliced(i, 1)));
}

/** The chance that `own` lies above all others: the integral of its density times their distribution functions. */
function chanceAbove(own: Beta, others: readonly Beta[]): number {
  const logNorm = logBeta(own.a, own.b);
  const integrand = (x: number) => {
    let value = Math.exp(times(own.a - 1, Math.log(x)) + times(own.b - 1, Math.log1p(-x)) - logNorm);
    if (value === 0) return 0;
    for (const { a, b } of others) value *= incompleteBeta(a, b, x);
    return value;
  };
  const [from, to] = spanOf(own);
  const marks = [from, to];
  for (const beta of [own, ...others]) {
    for (const mark of marksOf(beta)) if (mark > from && mark < to) marks.push(mark);
  }
  marks.sort((x, y) => x - y);
  let sum = 0;
  for (let i = 1; i < marks.length; i++) sum += panel(integrand, marks[i - 1]!, marks[i]!);
  return Math.min(1, sum);
}

/** A point may round to 0 or 1, where a flat density is still flat: 0 · log 0 = 0. */
const times = (factor: number, logarithm: number): number => (factor === 0 ? 0 : factor * logarithm);

/** Rates near 0 or 1 fall off exponentially, not like a normal law: e⁻⁴⁰ is left out. */
const SPAN_DEVIATIONS = 40;

function deviationOf({ a, b }: Beta): number {
  return Math.sqrt((a * b) / (a + b + 1)) / (a + b);
}

function spanOf(beta: Beta): readonly [number, number] {
  const reach = SPAN_DEVIATIONS * deviationOf(beta);
  return [Math.max(0, meanOf(beta) - reach), Math.min(1, meanOf(beta) + reach)];
}

/** Where the panels end: close where a distribution turns, far apart in its tails. */
function marksOf(beta: Beta): readonly number[] {
  const [mean, deviation] = [meanOf(beta), deviationOf(beta)];
  return [-24, -16, -10, -7, -5, -3.5, -2, -1, 0, 1, 2, 3.5, 5, 7, 10, 16, 24].map((k) => mean + k * deviation);
}

/** Gauss and Legendre's eight points on (−1, 1), the positive half (Abramowitz and Stegun table 25.4). */
const NODES = [0.1834346424956498, 0.525532409916329, 0.7966664774136267, 0.9602898564975363];
const WEIGHTS = [0.362683783378362, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763];

function panel(f: (x: number) => number, from: number, to: number): number {
  const [middle, half] = [(from + to) / 2, (to - from) / 2];
  let sum = 0;
  for (let i = 0; i < NODES.length; i++) sum += WEIGHTS[i]! * (f(middle - half * NODES[i]!) + f(middle + half * NODES[i]!));
  return sum * half;
}
