/** The rule with both hooks under wrk for a minute, and what a request costs beside the same work in workerd. */
import { measureOnce } from "../load/session.ts";
import { WORKS } from "../load/work.ts";
import { WRK_MISSING, wrkInstalled } from "../load/wrk.ts";
import { sluice } from "../peers/sluice.ts";
import { workerd } from "../peers/workerd.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";

const CONNECTIONS = 50;
const SHARE_OF_WORKERD = 0.25;

export const twoHookRule: Claim = {
  name: "two-hook-rule",
  asked:
    "a rule with onRequest and onResponse (hash a header, rewrite a path, set and delete headers), 50 connections: 0 errors under wrk for a minute; CPU per request below a quarter of workerd's with the same worker",
  when: "always",
  measure,
};

async function measure({ short, say }: Proof): Promise<Finding> {
  if (!wrkInstalled()) return { verdict: "not measured", measured: WRK_MISSING };
  if (!workerd.installed()) return { verdict: "not measured", measured: `workerd is not installed: ${workerd.install}` };
  const work = { ...WORKS.find(({ name }) => name === "both-hooks")!, connections: [CONNECTIONS] };
  const run = async (contender: typeof sluice, seconds: number) => {
    const [[, measured] = [0, null]] = await measureOnce(work, contender, { seconds, warmUpSeconds: short ? 1 : 3, say });
    if (measured === null) throw new Error(`${contender.title} was not measured`);
    return measured;
  };
  // workerd before and after, so that a machine that slows down or speeds up does so for both.
  const before = await run(workerd, short ? 2 : 15);
  const own = await run(sluice, short ? 3 : 60);
  const after = await run(workerd, short ? 2 : 15);
  const distinct = await measureOnce({ ...work, distinct: true }, sluice, { seconds: short ? 2 : 15, warmUpSeconds: short ? 1 : 3, say });
  const distinctUs = distinct[0]?.[1].cpuUsPerRequest ?? Number.NaN;
  const theirCpuUs = (before.cpuUsPerRequest + after.cpuUsPerRequest) / 2;
  const ratio = own.cpuUsPerRequest / theirCpuUs;
  return judged(
    `${own.requests.toLocaleString("en")} requests, ${own.errors} errors; ${own.cpuUsPerRequest.toFixed(1)} µs CPU per request, workerd ${theirCpuUs.toFixed(1)} µs: ${ratio.toFixed(2)} of it (where no two requests are alike, ${distinctUs.toFixed(1)} µs)`,
    [own.errors > 0 && `${own.errors} errors`, ratio >= SHARE_OF_WORKERD && `not below ${SHARE_OF_WORKERD}`],
  );
}
