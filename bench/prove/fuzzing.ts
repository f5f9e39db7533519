/** Ten million mutated messages against our grammar and llhttp. */
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fuzz } from "../fuzz/run.ts";
import { PACKAGE_ROOT } from "../load/checkout.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";

const CASES = 10_000_000;
const SHORT_CASES = 100_000;
/** A proof that is run again proves the same; other seeds are what `npm run fuzz` tries. */
const SEED = 20_261_121;

export const fuzzing: Claim = {
  name: "fuzzing",
  asked: "10 million mutated heads and bodies: no crash, no hang, no difference from llhttp that is not listed",
  when: "always",
  measure,
};

async function measure({ short, say }: Proof): Promise<Finding> {
  const result = await fuzz({
    count: short ? SHORT_CASES : CASES,
    seed: SEED,
    processes: availableParallelism(),
    findsFolder: join(PACKAGE_ROOT, "bench", "results", "tmp", "finds"),
    child: join(PACKAGE_ROOT, "bench", "fuzz.ts"),
    say,
  });
  const kinds = [...result.finds].map(([kind, times]) => `${times} × ${kind}`);
  return judged(
    `${result.cases.toLocaleString("en")} messages in ${result.seconds.toFixed(0)} s, read in ${result.kinds.toLocaleString("en")} ways: ${kinds.length} kinds of finds`,
    kinds,
  );
}
