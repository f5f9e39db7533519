/**
 * Loads one server and says what it cost: CPU microseconds per request of its whole process tree (the figure that survives a
 * noisy machine), requests per second and latency percentiles by wrk, memory of the tree under load.
 */
import { answers, end, memoryBytes, type Server, start, tree } from "./processes.ts";
import { type Load, type LoadResult, wrk } from "./wrk.ts";

export interface Measured extends LoadResult {
  readonly cpuUsPerRequest: number;
  /** Near the end of the load, while its connections are still open. */
  readonly memoryMiB: number;
}

export interface MeasureOptions {
  readonly warmUpSeconds: number;
  /** Looks at the running server before it is loaded; throws when it does not do the work. */
  readonly check?: (server: Server) => Promise<void>;
  readonly onMeasured?: (load: Load, measured: Measured) => void;
}

/** Of a load's time: late enough for buffers to be as full as they get, early enough for every connection to be open. */
const MEMORY_SAMPLE_AT = 0.8;

/** Starts `server`, measures each load in turn after a warm-up, ends it. */
export async function measure(server: Server, loads: readonly Load[], options: MeasureOptions): Promise<Measured[]> {
  const child = start(server, "server");
  try {
    await answers(server, child);
    await options.check?.(server);
    const measured: Measured[] = [];
    for (const load of loads) {
      await wrk(server.port, { ...load, seconds: options.warmUpSeconds });
      const result = await underLoad(server, child.pid!, load);
      options.onMeasured?.(load, result);
      measured.push(result);
    }
    return measured;
  } finally {
    await end(child);
  }
}

async function underLoad(server: Server, root: number, load: Load): Promise<Measured> {
  let sampledBytes = 0;
  const sample = setTimeout(() => (sampledBytes = memoryBytes(tree(root).pids)), load.seconds * 1_000 * MEMORY_SAMPLE_AT);
  const before = tree(root);
  const result = await wrk(server.port, load);
  const after = tree(root);
  clearTimeout(sample);
  const cpuUsPerRequest = ((after.cpuSeconds - before.cpuSeconds) * 1e6) / result.requests;
  return { ...result, cpuUsPerRequest, memoryMiB: sampledBytes / 2 ** 20 };
}
