/** What a request costs beside HAProxy, nginx with Lua and workerd doing the same, in the same run. */
import { cellOf, cpuRatio, figure, type Results } from "../load/results.ts";
import { runSession } from "../load/session.ts";
import { WORKS } from "../load/work.ts";
import { WRK_MISSING, wrkInstalled } from "../load/wrk.ts";
import type { Contender } from "../peers/contender.ts";
import { CONTENDERS } from "../peers/peers.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";

const HAPROXY_FACTOR = 1.5;
const LUA_FACTOR = 1.4;
const WORKERD_FACTOR = 0.2;
const LUA_MORE_US = 120;
const ROUNDS = 5;

export const plainProxying: Claim = {
  name: "plain-proxying",
  asked: `CPU per request, plain proxying, 50 connections: at most ${HAPROXY_FACTOR} × HAProxy's (1 thread), same run`,
  when: "always",
  measure: (proof) => beside(proof, "plain", 50, ["haproxy"], (results) => [atMost(results, "plain", "haproxy", HAPROXY_FACTOR)]),
};

export const hooksBesidePeers: Claim = {
  name: "hooks-beside-peers",
  asked: `CPU per request with a rule that hashes a header, rewrites a path, sets and deletes headers in both phases, 50 connections: at most ${LUA_FACTOR} × nginx+Lua's and ${WORKERD_FACTOR} × workerd's`,
  when: "always",
  measure: (proof) =>
    beside(proof, "both-hooks", 50, ["nginx-lua", "workerd"], (results) => [
      atMost(results, "both-hooks", "nginx-lua", LUA_FACTOR),
      atMost(results, "both-hooks", "workerd", WORKERD_FACTOR),
    ]),
};

export const oneConnection: Claim = {
  name: "one-connection",
  asked: `median latency on one connection, with that rule: at most nginx+Lua's + ${LUA_MORE_US} µs`,
  when: "always",
  measure: (proof) =>
    beside(proof, "both-hooks", 1, ["nginx-lua"], (results) => {
      const [ownUs, theirUs] = ["sluice", "nginx-lua"].map(
        (name) => figure(cellOf(results, "both-hooks", 1, name)!.runs.map(({ p50Ms }) => p50Ms * 1e3)).median,
      );
      return [{ text: `${ownUs!.toFixed(0)} µs, nginx+Lua ${theirUs!.toFixed(0)} µs`, wrong: ownUs! > theirUs! + LUA_MORE_US && `above + ${LUA_MORE_US} µs` }];
    }),
};

interface Judgement {
  readonly text: string;
  readonly wrong: string | false;
}

async function beside(
  { short, say }: Proof,
  workName: string,
  connections: number,
  peers: readonly string[],
  judge: (results: Results) => readonly Judgement[],
): Promise<Finding> {
  if (!wrkInstalled()) return { verdict: "not measured", measured: WRK_MISSING };
  const contenders = ["sluice", ...peers].map((name) => CONTENDERS.find((contender) => contender.name === name)!);
  const missing = contenders.filter((contender: Contender) => !contender.installed());
  if (missing.length > 0) return { verdict: "not measured", measured: missing.map(({ title, install }) => `${title} is not installed: ${install}`).join("; ") };
  const works = [{ ...WORKS.find(({ name }) => name === workName)!, connections: [connections] }];
  const results = await runSession({ works, contenders, rounds: short ? 1 : ROUNDS, seconds: short ? 2 : 5, warmUpSeconds: short ? 1 : 2, say });
  if (results.failures.length > 0) return { verdict: "not measured", measured: results.failures.join("; ") };
  const errors = cellOf(results, workName, connections, "sluice")!.runs.reduce((sum, run) => sum + run.errors, 0);
  const judgements = judge(results);
  return judged(`${judgements.map(({ text }) => text).join("; ")}; medians of ${results.rounds} alternating rounds of ${results.seconds} s, ${errors} errors`, [
    errors > 0 && `${errors} errors`,
    ...judgements.map(({ wrong }) => wrong),
  ]);
}

function atMost(results: Results, work: string, peer: string, factor: number): Judgement {
  const [own, theirs] = [cellOf(results, work, 50, "sluice")!, cellOf(results, work, 50, peer)!];
  const { median, lowest, highest } = cpuRatio(own, theirs);
  const cost = (cell: typeof own): string => figure(cell.runs.map((run) => run.cpuUsPerRequest)).median.toFixed(1);
  const title = CONTENDERS.find(({ name }) => name === peer)!.title;
  return {
    text: `${cost(own)} µs, ${title} ${cost(theirs)} µs: ${median.toFixed(2)} × (${lowest.toFixed(2)} – ${highest.toFixed(2)})`,
    wrong: median > factor && `above ${factor} × ${title}'s`,
  };
}
