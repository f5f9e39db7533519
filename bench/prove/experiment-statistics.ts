/** What looking at every experiment again and again finds that is not there, and how soon it finds what is. Simulated: the figures of a real test can't be repeated. */
import { looked } from "../../test/experiments/statistics/looked.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";

const RUNS = 2_000;
const LOOKS = 200;
const ALARMS = 0.05;
const MISMATCHES = 0.001;
const MOST_UNITS = 8_000;

export const experimentStatistics: Claim = {
  name: "experiment-statistics",
  asked:
    "A/A, 2,000 runs, 200 looks each: at most 5 % false alarms and 0.1 % false mismatches, + Monte Carlo error (z at each look: about 43 %); 10 % → 12 % found with a median of at most 8,000 units",
  when: "always",
  measure: async (proof) => measure(proof),
};

function measure({ short, say }: Proof): Finding {
  const runs = short ? 100 : RUNS;
  const same = Array.from({ length: runs }, (_, i) => looked(i + 1, { rates: [0.1, 0.1], looks: LOOKS, unitsPerLook: 50 }));
  const [alarms, naive, mismatches] = [
    share(same.map(({ sequential }) => sequential)),
    share(same.map((one) => one.naive)),
    share(same.map((one) => one.mismatch)),
  ];
  say(`  A/A: ${percent(alarms)} false alarms, ${percent(naive)} of z, ${percent(mismatches)} mismatches`);
  const found = Array.from({ length: runs }, (_, i) => looked(i + 1, { rates: [0.1, 0.12], looks: LOOKS, unitsPerLook: 100 }).sequential).sort((a, b) => a - b);
  const median = found[Math.floor(runs / 2)]!;
  return judged(
    `${runs.toLocaleString("en")} A/A runs of ${LOOKS} looks: ${percent(alarms)} false alarms (z at each look: ${percent(naive)}), ${percent(mismatches)} false mismatches; 10 % → 12 % found with a median of ${median.toLocaleString("en")} units, 80 % by ${found[Math.floor(runs * 0.8)]!.toLocaleString("en")}`,
    [
      alarms > ALARMS + errorOf(ALARMS, runs) && "too many false alarms",
      mismatches > MISMATCHES + errorOf(MISMATCHES, runs) && "too many false mismatches",
      !(median <= MOST_UNITS) && "found too late",
    ],
  );
}

const share = (values: readonly number[]): number => values.filter((at) => at < Number.POSITIVE_INFINITY).length / values.length;
const percent = (value: number): string => `${(value * 100).toFixed(2)} %`;
/** Three deviations of a share among so many runs. */
const errorOf = (p: number, runs: number): number => 3 * Math.sqrt((p * (1 - p)) / runs);
