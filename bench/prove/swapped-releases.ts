/** A thousand releases, one after the other, under visitors who see to it that each answer is of one release and whole. */
import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PACKAGE_ROOT } from "../load/checkout.ts";
import { memoryBytes, tree } from "../load/processes.ts";
import { figure } from "../load/results.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { makeFolder, pause } from "./gateway.ts";
import { startOrigin } from "./origin.ts";
import { settledMemoryMiB } from "./settled-memory.ts";
import { Visitors } from "./visitors.ts";

const SWAPS = 1_000;
const SHORT_SWAPS = 60;
const WARM_SWAPS = 50;
/** Of load before the first swap: a worker's heap grows for seconds under load, whoever swaps what. */
const WARM_UP_MS = 15_000;
const SHORT_WARM_UP_MS = 1_000;
const MOST_GROWTH = 1.2;
const VISITORS = 5;
const VISITOR_PAUSE_MS = 2;
const STEP_DEADLINE_MS = 30_000;

export const swappedReleases: Claim = {
  name: "swapped-releases",
  asked: "1,000 releases swapped in a row under load: 0 failed requests; memory of the process tree within 20 % of where it was after 50",
  when: "always",
  measure,
};

async function measure({ short, say }: Proof): Promise<Finding> {
  const swaps = short ? SHORT_SWAPS : SWAPS;
  const origin = await startOrigin((request, response) => response.end(request.headers["x-release"]));
  const folder = makeFolder();
  mkdirSync(join(folder, "rules"));
  mkdirSync(join(folder, "node_modules"));
  symlinkSync(PACKAGE_ROOT, join(folder, "node_modules", "sluice"));
  const listeners = [{ host: "127.0.0.1", port: 0 }];
  writeFileSync(
    join(folder, "sluice.config.json"),
    JSON.stringify({ listeners, admin: false, workers: 1, log: { access: "off" }, rules: "./rules", upstreams: { origin: { targets: [origin.url] } } }),
  );
  writeFileSync(join(folder, "rules", "marks.ts"), MARKS);
  const child = fork(join(import.meta.dirname, "swapping-main.ts"), [folder], {
    execArgv: ["--conditions=sluice-source"],
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const visitors: Visitors[] = [];
  try {
    const { port } = await answer<{ port: number }>(child);
    visitors.push(
      new Visitors({
        port,
        count: VISITORS,
        pauseMs: VISITOR_PAUSE_MS,
        path: (n) => `/${n}`,
        // Both hooks of an exchange run in one release, whatever is swapped meanwhile.
        judge: ({ status, headers, body }) =>
          status === 200 && /^RELEASE_\d+$/.test(body) && headers["x-release"] === body ? "" : `${status} ${body.slice(0, 80)} ${String(headers["x-release"])}`,
      }),
    );
    await pause(short ? SHORT_WARM_UP_MS : WARM_UP_MS);
    let afterWarmUpMiB = 0;
    const tookMs: number[] = [];
    for (let swap = 1; swap <= swaps; swap++) {
      const startedMs = performance.now();
      child.send(swap);
      const { error } = await answer<{ error?: string }>(child);
      if (error !== undefined) throw new Error(`release ${swap} was not swapped in: ${error}`);
      tookMs.push(performance.now() - startedMs);
      if (swap === WARM_SWAPS) afterWarmUpMiB = await settledMemoryMiB(child.pid!);
      if (swap % 100 === 0) say(`  ${swap} swaps, ${(memoryBytes(tree(child.pid!).pids) / 2 ** 20).toFixed(0)} MiB`);
    }
    const endMiB = await settledMemoryMiB(child.pid!);
    const tally = await visitors[0]!.stop();
    const { median, highest } = figure(tookMs);
    return judged(
      `${swaps} releases, each ${median.toFixed(0)} ms after the last (longest ${highest.toFixed(0)} ms): ${tally.failed} of ${tally.requests.toLocaleString("en")} requests failed, p99 ${tally.p99Ms.toFixed(1)} ms, longest ${tally.longestMs.toFixed(0)} ms; memory of the process tree ${afterWarmUpMiB.toFixed(0)} MiB after ${WARM_SWAPS}, ${endMiB.toFixed(0)} MiB at the end`,
      [
        tally.failed > 0 && `failed: ${tally.failures.join(", ")}`,
        endMiB > afterWarmUpMiB * MOST_GROWTH && `memory grew by more than ${Math.round((MOST_GROWTH - 1) * 100)} %`,
      ],
    );
  } finally {
    for (const each of visitors) await each.stop();
    await end(child);
    origin.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

function answer<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const settle = (how: () => void): void => {
      clearTimeout(deadline);
      child.off("message", told).off("exit", ended);
      how();
    };
    const told = (message: unknown): void => settle(() => resolve(message as T));
    const ended = (): void => settle(() => reject(new Error("the gateway ended")));
    const deadline = setTimeout(() => settle(() => reject(new Error("the gateway did not answer in time"))), STEP_DEADLINE_MS);
    child.on("message", told).on("exit", ended);
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGTERM");
  const hard = setTimeout(() => child.kill("SIGKILL"), STEP_DEADLINE_MS);
  await gone;
  clearTimeout(hard);
}

const MARKS = `import { defineRule } from "sluice";

export default defineRule({
  onRequest(req) {
    req.headers.set("x-release", "RELEASE_0");
  },
  onResponse(res) {
    res.headers.set("x-release", "RELEASE_0");
  },
});
`;
