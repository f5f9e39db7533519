/**
 * `npm run prove`: puts what Sluice says of itself to the proof, one claim after another, and prints asked, measured, verdict and
 * command. Exit code 1 when one does not hold or could not be measured.
 */
import { parseArgs } from "node:util";
import { wrap } from "./load/text-table.ts";
import type { Claim, Finding } from "./prove/claim.ts";
import { assignedUnchanged } from "./prove/assigned-unchanged.ts";
import { hooksBesidePeers, oneConnection, plainProxying } from "./prove/beside-peers.ts";
import { brokenArm } from "./prove/broken-arm.ts";
import { canaryAa, canaryHolds, canaryThrows } from "./prove/canary.ts";
import { cacheHit } from "./prove/cache-hit.ts";
import { cacheCrowd, cacheHitRatio, purgeByTag } from "./prove/cache-over-gateways.ts";
import { coldVisitors } from "./prove/cold-visitors.ts";
import { configDeploys } from "./prove/config-deploys.ts";
import { deployWait } from "./prove/deploy-wait.ts";
import { experimentStatistics } from "./prove/experiment-statistics.ts";
import { fleetOf100 } from "./prove/fleet-of-100.ts";
import { foundInTheDemo } from "./prove/found-in-the-demo.ts";
import { freshCloneDemo, freshCloneTests } from "./prove/fresh-clone.ts";
import { fuzzing } from "./prove/fuzzing.ts";
import { fixtureErrors, projects, refusedDeploys, seenInBrowser } from "./prove/held-by-tests.ts";
import { goalCounts } from "./prove/goal-counts.ts";
import { hostileRules } from "./prove/hostile-rules.ts";
import { htmlEdits } from "./prove/html-edits.ts";
import { killedSandbox } from "./prove/killed-sandbox.ts";
import { killedWorker } from "./prove/killed-worker.ts";
import { largeBodies } from "./prove/large-bodies.ts";
import { layeredUnits } from "./prove/layered-units.ts";
import { liveProtocols } from "./prove/live-protocols.ts";
import { manyDeploys } from "./prove/many-deploys.ts";
import { matchedRules } from "./prove/matched-rules.ts";
import { mixedTraffic } from "./prove/mixed-traffic.ts";
import { rateLimitCost, rateLimits } from "./prove/rate-limits.ts";
import { redisFaults } from "./prove/redis-faults.ts";
import { rollback } from "./prove/rollback.ts";
import { ruleTests } from "./prove/rule-tests.ts";
import { sameVariant } from "./prove/same-variant.ts";
import { savedRule } from "./prove/saved-rule.ts";
import { replayedRequests, shadowUnderLoad } from "./prove/shadow-and-replay.ts";
import { slowClients } from "./prove/slow-clients.ts";
import { swappedReleases } from "./prove/swapped-releases.ts";
import { tailUnderLoad } from "./prove/tail-under-load.ts";
import { twoHookRule } from "./prove/two-hook-rule.ts";

const CLAIMS: readonly Claim[] = [
  plainProxying,
  hooksBesidePeers,
  oneConnection,
  twoHookRule,
  matchedRules,
  cacheHit,
  cacheCrowd,
  cacheHitRatio,
  purgeByTag,
  savedRule,
  ruleTests,
  killedSandbox,
  killedWorker,
  largeBodies,
  liveProtocols,
  projects,
  seenInBrowser,
  freshCloneDemo,
  freshCloneTests,
  mixedTraffic,
  rateLimits,
  rateLimitCost,
  redisFaults,
  swappedReleases,
  deployWait,
  fleetOf100,
  rollback,
  manyDeploys,
  canaryThrows,
  canaryAa,
  canaryHolds,
  configDeploys,
  tailUnderLoad,
  shadowUnderLoad,
  replayedRequests,
  fixtureErrors,
  refusedDeploys,
  slowClients,
  fuzzing,
  hostileRules,
  coldVisitors,
  sameVariant,
  layeredUnits,
  assignedUnchanged,
  htmlEdits,
  foundInTheDemo,
  experimentStatistics,
  goalCounts,
  brokenArm,
];

const HELP = `npm run prove -- [options]

  --only NAMES    some claims, with commas between: ${CLAIMS.map(({ name }) => name).join(", ")}
  --fresh-clone   those that clone and install, too
  --soak          only those that take half an hour
  --short         a moment of each, to see that the harness works; proves nothing
  --json          print findings as JSON
`;

const BAD_USAGE = 2;

const { values } = parseArgs({
  options: {
    only: { type: "string", default: "" },
    "fresh-clone": { type: "boolean", default: false },
    soak: { type: "boolean", default: false },
    short: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

interface Proven extends Finding {
  readonly name: string;
  readonly asked: string;
  readonly command: string;
  readonly tookSeconds: number;
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

function chosen(): readonly Claim[] | string {
  if (values.only !== "") {
    const names = values.only.split(",");
    const unknown = names.filter((name) => !CLAIMS.some((claim) => claim.name === name));
    if (unknown.length > 0) return `--only: there is no ${unknown.join(", ")}; there are ${CLAIMS.map(({ name }) => name).join(", ")}.`;
    return CLAIMS.filter(({ name }) => names.includes(name));
  }
  if (values.soak) return CLAIMS.filter(({ when }) => when === "soak");
  return CLAIMS.filter(({ when }) => when === "always" || (when === "fresh-clone" && values["fresh-clone"]));
}

async function prove(claim: Claim): Promise<Proven> {
  say(`${claim.name}: ${claim.asked}`);
  const startedMs = performance.now();
  const finding = await claim.measure({ short: values.short, say }).catch((error: unknown): Finding => {
    return { verdict: "fails", measured: `the measurement broke off: ${(error as Error).message}` };
  });
  say(`  ${finding.verdict}: ${finding.measured}`);
  const command = `npm run prove -- --only ${claim.name}`;
  return { ...finding, name: claim.name, asked: claim.asked, command, tookSeconds: Math.round((performance.now() - startedMs) / 1_000) };
}

const ASKED_WIDTH = 44;
const MEASURED_WIDTH = 62;
const HOLDS_WIDTH = 8;
const HOLDS = { holds: "yes", fails: "NO", "not measured": "UNKNOWN" } as const;

function table(proven: readonly Proven[]): string {
  const line = (asked = "", measured = "", holds = "", command = ""): string =>
    `${asked.padEnd(ASKED_WIDTH)}  ${measured.padEnd(MEASURED_WIDTH)}  ${holds.padEnd(HOLDS_WIDTH)}  ${command}`.trimEnd();
  const lines = [
    line("asked", "measured", "holds", "command"),
    line("─".repeat(ASKED_WIDTH), "─".repeat(MEASURED_WIDTH), "─".repeat(HOLDS_WIDTH), "─".repeat(44)),
  ];
  for (const { asked, measured, verdict, command } of proven) {
    const [left, middle] = [wrap(asked, ASKED_WIDTH), wrap(measured, MEASURED_WIDTH)];
    for (let i = 0; i < Math.max(left.length, middle.length); i++) lines.push(line(left[i], middle[i], i === 0 ? HOLDS[verdict] : "", i === 0 ? command : ""));
    lines.push("");
  }
  return lines.join("\n");
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  const claims = chosen();
  if (typeof claims === "string") {
    say(claims);
    return BAD_USAGE;
  }
  const proven: Proven[] = [];
  for (const claim of claims) proven.push(await prove(claim));
  process.stdout.write(values.json ? `${JSON.stringify(proven, null, 1)}\n` : `\n${table(proven)}\n`);
  if (values.short) say("These were short runs: they show that the harness works, and prove nothing.");
  const failed = proven.filter(({ verdict }) => verdict !== "holds");
  say(failed.length === 0 ? `all ${proven.length} hold` : `${failed.length} of ${proven.length} do not hold: ${failed.map(({ name }) => name).join(", ")}`);
  return failed.length === 0 ? 0 : 1;
}

process.exitCode = await main();
