/** What a request costs with one rule, and with ten thousand of which one is for it. */
import { measureOnce } from "../load/session.ts";
import { WORKS } from "../load/work.ts";
import { WRK_MISSING, wrkInstalled } from "../load/wrk.ts";
import { sluice } from "../peers/sluice.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";

const CONNECTIONS = 50;
const GROWTH = 1.1;

export const matchedRules: Claim = {
  name: "matched-rules",
  asked: "cost from 1 to 10,000 statically matched rules: CPU per request grows by less than 10 %",
  when: "always",
  measure,
};

async function measure({ short, say }: Proof): Promise<Finding> {
  if (!wrkInstalled()) return { verdict: "not measured", measured: WRK_MISSING };
  const many = short ? "ten-rules" : "ten-thousand-rules";
  const costUs = async (name: string): Promise<{ cpuUs: number; errors: number }> => {
    const work = { ...WORKS.find((each) => each.name === name)!, connections: [CONNECTIONS] };
    const [[, measured] = [0, null]] = await measureOnce(work, sluice, { seconds: short ? 2 : 10, warmUpSeconds: short ? 1 : 5, say });
    if (measured === null) throw new Error(`${name} was not measured`);
    return { cpuUs: measured.cpuUsPerRequest, errors: measured.errors };
  };
  // One rule before and after, so that a machine that slows down or speeds up does so for both.
  const before = await costUs("both-hooks");
  const among = await costUs(many);
  const after = await costUs("both-hooks");
  const oneUs = (before.cpuUs + after.cpuUs) / 2;
  const errors = before.errors + among.errors + after.errors;
  const growth = among.cpuUs / oneUs;
  return judged(
    `${oneUs.toFixed(1)} µs with one rule, ${among.cpuUs.toFixed(1)} µs with ${short ? "ten" : "10,000"}: ${((growth - 1) * 100).toFixed(0)} % more; ${errors} errors`,
    [growth >= GROWTH && `not below ${GROWTH}`, errors > 0 && `${errors} errors`],
  );
}
