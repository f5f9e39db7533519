/** Runs contenders against works, in rounds: A B C, C B A, A B C, … so that no drift of the machine favours one of them. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Contender } from "../peers/contender.ts";
import { checkWork } from "./check-work.ts";
import { type Measured, measure } from "./measure.ts";
import { answers, end, freePorts, isPinned, start } from "./processes.ts";
import { type Cell, machine, type Results } from "./results.ts";
import { pathOf, type Work } from "./work.ts";

export interface SessionOptions {
  readonly works: readonly Work[];
  readonly contenders: readonly Contender[];
  readonly rounds: number;
  readonly seconds: number;
  readonly warmUpSeconds: number;
  readonly say: (line: string) => void;
}

export async function runSession(options: SessionOptions): Promise<Results> {
  const { works, contenders, rounds, seconds, say } = options;
  const cells = new Map<string, Cell & { runs: Measured[] }>();
  const failures: string[] = [];
  const takenAt = new Date().toISOString();
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? contenders : contenders.toReversed();
    for (const work of works) {
      for (const contender of order.filter((each) => each.takesPart(work))) {
        say(`round ${round + 1} of ${rounds}: ${work.title}: ${contender.title}`);
        const outcome = await measureOnce(work, contender, options).catch((error: unknown) => (error as Error).message);
        if (typeof outcome === "string") {
          failures.push(outcome);
          say(`  NOT MEASURED: ${outcome}`);
          continue;
        }
        for (const [connections, measured] of outcome) {
          const key = `${work.name} ${connections} ${contender.name}`;
          const cell = cells.get(key) ?? { work: work.name, connections, contender: contender.name, runs: [] };
          cell.runs.push(measured);
          cells.set(key, cell);
        }
      }
    }
  }
  return {
    takenAt,
    machine: machine(),
    pinned: isPinned,
    rounds,
    seconds,
    versions: Object.fromEntries(contenders.map((contender) => [contender.name, contender.version()])),
    cells: [...cells.values()],
    failures,
  };
}

/** Everything anew for each measurement: nobody inherits warm connections, or a full log, of another. */
export async function measureOnce(
  work: Work,
  contender: Contender,
  { seconds, warmUpSeconds, say }: Pick<SessionOptions, "seconds" | "warmUpSeconds" | "say">,
): Promise<[number, Measured][]> {
  const folder = mkdtempSync(join(tmpdir(), "sluice-bench-"));
  const [port, originPort] = (await freePorts(2)) as [number, number];
  const originServer = {
    name: "origin",
    command: [process.execPath, join(import.meta.dirname, "origin.ts"), String(originPort), String(work.bodyBytes)],
    port: originPort,
  };
  const origin = start(originServer, "load");
  try {
    await answers(originServer, origin);
    const server = contender.setUp(work, { folder, port, originPort });
    const loads = work.connections.map((connections) => ({ connections, seconds, path: pathOf(work, "page"), distinct: work.distinct ?? false }));
    const measured = await measure(server, loads, {
      warmUpSeconds,
      check: () => checkWork(server, work, contender.hash),
      onMeasured: ({ connections }, { cpuUsPerRequest, requestsPerSecond, errors }) =>
        say(
          `  ${connections} at once: ${cpuUsPerRequest.toFixed(1)} µs CPU, ${requestsPerSecond.toFixed(0)} requests/s${errors > 0 ? `, ${errors} ERRORS` : ""}`,
        ),
    });
    return measured.map((each, i) => [loads[i]!.connections, each]);
  } finally {
    await end(origin);
    rmSync(folder, { recursive: true, force: true });
  }
}
