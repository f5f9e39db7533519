/** Canaries under simulated clients, with the counting and the judgement that gateways use: a rule that throws, one that is no worse, and silence. */
import { canaryOf, median, simulate, type Simulated } from "../../test/control/simulated-canary.ts";
import { ConfigError, resolveConfig } from "../../runtime/config/config.ts";
import { judge } from "../../runtime/control/canary/judgement.ts";
import { type CanaryCounts, NO_COUNTS } from "../../runtime/observe/canary-counts.ts";
import { type Claim, judged } from "./claim.ts";

const THROWING_RUNS = 200;
const AA_RUNS = 500;
/** Of a canary that is no worse: after so many of its clients, each judged every second, a false alarm would have come. */
const AA_REQUESTS = 2000;

function runs(count: number, run: (seed: number) => Simulated): readonly Simulated[] {
  return Array.from({ length: count }, (_, seed) => run(seed));
}

export const canaryThrows: Claim = {
  name: "canary-throws",
  asked:
    "a canary at 5 % with a rule that throws for 3 % of its requests: taken back by itself at the first step, median within 600 of its requests over 200 runs",
  when: "always",
  async measure({ short }) {
    const all = runs(short ? 10 : THROWING_RUNS, (seed) => simulate({ seed, throwing: 0.03, canaryRequests: 20_000 }));
    const back = all.filter(({ verdict }) => verdict === "rollback");
    const sorted = back.map(({ canaryRequests }) => canaryRequests).toSorted((a, b) => a - b);
    const middle = median(sorted);
    return judged(
      `${back.length} of ${all.length} taken back at 5 %, median after ${middle} canary requests, 95 % within ${sorted[Math.floor(sorted.length * 0.95)]}, last after ${sorted.at(-1)}; first reason: ${back[0]?.reason}`,
      [back.length < all.length && `${all.length - back.length} were not`, middle > 600 && "the median is above 600"],
    );
  },
};

export const canaryAa: Claim = {
  name: "canary-aa",
  asked: "a canary that is no worse, 500 runs: taken back falsely in 1 % at most",
  when: "always",
  async measure({ short, say }) {
    const canary = canaryOf({ stepMs: Number.MAX_SAFE_INTEGER });
    const count = short ? 10 : AA_RUNS;
    let back = 0;
    for (let seed = 0; seed < count; seed++) {
      // Origins that never fail, and such that do for one client in fifty.
      const { verdict } = simulate({ seed: 10_000 + seed, failing: seed % 2 === 0 ? 0.02 : 0, canaryRequests: AA_REQUESTS, canary });
      if (verdict === "rollback") back++;
      if (seed % 100 === 99) say(`  ${seed + 1} of ${count}`);
    }
    const share = back / count;
    return judged(`${back} of ${count} taken back (${(share * 100).toFixed(1)} %), each judged every second through ${AA_REQUESTS} canary requests`, [
      share > 0.01 && "more than 1 %",
    ]);
  },
};

export const canaryHolds: Claim = {
  name: "canary-holds",
  asked: "a canary without traffic, or whose traffic stopped, or of which anything cannot be measured: holds; a misnamed metric: an error",
  when: "always",
  async measure() {
    const full = { ...NO_COUNTS, units: 5000, requests: 5000, latencies: NO_COUNTS.latencies.map((_, i) => (i === 50 ? 5000 : 0)) };
    const counts: CanaryCounts = { step: 1, idleMs: 0, canary: full, current: full };
    const sound = { counts, missing: [], elapsedMs: 3_600_000 };
    const cases = [
      { what: "no counts", facts: { ...sound, counts: null } },
      { what: "no traffic", facts: { ...sound, counts: { ...counts, canary: NO_COUNTS } } },
      { what: "traffic stopped", facts: { ...sound, counts: { ...counts, idleMs: 3_600_000 } } },
      { what: "too few clients", facts: { ...sound, counts: { ...counts, canary: { ...full, units: 499 } } } },
      { what: "a gateway without a report", facts: { ...sound, missing: ["gateway a has reported nothing of this step"] } },
      { what: "counts that cannot be", facts: { ...sound, counts: { ...counts, canary: { ...full, exceptions: Number.NaN } } } },
      { what: "no latencies", facts: { ...sound, counts: { ...counts, canary: { ...full, latencies: NO_COUNTS.latencies } } } },
    ];
    const verdicts = cases.map(({ what, facts }) => ({ what, ...judge(canaryOf(), facts) }));
    const others = verdicts.filter(({ verdict }) => verdict !== "hold").map(({ what, verdict }) => `${what}: ${verdict}`);
    const advanced = judge(canaryOf(), sound).verdict;
    const told = misnamed();
    return judged(
      `${verdicts.length - others.length} of ${cases.length} hold (${verdicts.map(({ what }) => what).join(", ")}); with everything sound it would ${advanced}; "exeptions" in the config: ${told || "taken"}`,
      [others.length > 0 && others.join(", "), advanced !== "advance" && "it never advances", !told.includes('"exceptions"') && "the misnamed metric passed"],
    );
  },
};

/** What `sluice check` and `sluice deploy` say of it; "" when they take it. */
function misnamed(): string {
  try {
    const limits = { exeptions: "1%" };
    resolveConfig({ upstreams: { site: { targets: ["http://127.0.0.1:9"] } }, releases: { canary: { limits } } }, { baseDir: "/", file: "" });
    return "";
  } catch (thrown) {
    if (!(thrown instanceof ConfigError)) throw thrown;
    return thrown.problems.map(({ path, text }) => `${path}: ${text}`).join("; ");
  }
}
