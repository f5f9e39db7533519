/** The seat of experiments, put together for a worker. */
import path from "node:path";
import type { Clock } from "../../clock.ts";
import type { ResolvedConfig } from "../../config/resolved.ts";
import { RawEvents } from "../../experiments/count/raw-events.ts";
import { WorkerCounting } from "../../experiments/count/worker-counting.ts";
import { agreeOnKeys } from "../../experiments/keys/keys.ts";
import type { Observer } from "../../observe/observe.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import type { Store } from "../../store/store.ts";
import { ExperimentSeat, type VerifyToken } from "./seat.ts";

export interface StartParts {
  readonly config: ResolvedConfig;
  readonly clock: Clock;
  readonly store: Store;
  readonly observer: Observer;
  readonly sandbox: () => Sandbox | null;
  readonly verifyToken: VerifyToken;
}

/** Resolves when keys and what operators decided are known, or the store has not said within its time-out. */
export async function startExperiments(parts: StartParts): Promise<ExperimentSeat> {
  const { config, clock, store, observer, sandbox, verifyToken } = parts;
  const { keys: configured, mostUnits, raw } = config.experiments;
  const warn = (text: string): void => observer.note("warn", "experiments", { text });
  const agreement = { configured, stateDir: config.stateDir, store, warn };
  const { keys, agreed } = await agreeOnKeys(agreement);
  const dir = config.stateDir === "" ? null : path.join(config.stateDir, "experiments");
  const counting = new WorkerCounting({ store, clock, dir, mostUnits, raw: raw === null ? null : new RawEvents(raw, { clock, warn }), warn });
  const seat = new ExperimentSeat({
    config,
    clock,
    store,
    keys,
    counting,
    sandbox,
    verifyToken,
    onExposure: (experiment, variant) => observer.exposure?.(experiment, variant),
    warn,
  });
  await seat.ready();
  if (!agreed) agreeLater(seat, agreement);
  return seat;
}

/** Once the store is there; visitors of before stay who they are. */
function agreeLater(seat: ExperimentSeat, agreement: Parameters<typeof agreeOnKeys>[0]): void {
  const end = agreement.store.onHealth(({ state }) => {
    if (state !== "ready") return;
    end();
    void agreeOnKeys(agreement).then(({ keys, agreed }) => (agreed ? seat.useKeys(keys) : agreeLater(seat, agreement)));
  });
  seat.whenClosed(end);
}
