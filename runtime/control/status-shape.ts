/** What `GET /v1/status` answers, for the OpenAPI document. Later versions may tell more. */
import { z } from "zod";
import type { SupervisorStatus } from "../supervisor/status.ts";
import type { GatewayReport, SeenGateway } from "./board.ts";

const Canary = z.looseObject({ release: z.string(), share: z.number().describe("of the clients, in ten-thousandths") });
const report = {
  epoch: z.int(),
  release: z.string(),
  canary: Canary.nullable().exactOptional(),
  state: z.enum(["starting", "serving", "preparing", "prepared", "activating", "behind"]),
  reason: z.string(),
};
const place = { host: z.string(), pid: z.int(), version: z.string(), startedUnixMs: z.number() };
const Report = z.looseObject({ ...report, ...place }) satisfies z.ZodType<GatewayReport>;
const Gateway = Report.extend({ name: z.string(), live: z.boolean(), silentMs: z.number() }) satisfies z.ZodType<SeenGateway>;

const Worker = z.looseObject({
  number: z.int(),
  pid: z.int(),
  state: z.enum(["starting", "serving", "draining", "ended"]),
  uptimeMs: z.number(),
  release: z.string(),
  inFlight: z.int(),
  connections: z.int(),
  sandbox: z.looseObject({ activePid: z.int(), sparePid: z.int(), restarts: z.int(), outstanding: z.int() }).nullable(),
});
const Target = z.looseObject({
  upstream: z.string(),
  target: z.string(),
  active: z.int(),
  idle: z.int(),
  requests: z.int(),
  connectFailures: z.int(),
  resolved: z.boolean().describe("false when no worker could resolve its name"),
});
const Store = z.looseObject({
  kind: z.enum(["redis", "embedded", "memory"]),
  state: z.enum(["connecting", "ready", "unavailable", "refused"]),
  reason: z.string(),
  liveGateways: z.int(),
  calls: z.int(),
  failures: z.int(),
  timeouts: z.int(),
  outstanding: z.int(),
  process: z.looseObject({ pid: z.int(), restarts: z.int(), keys: z.int(), bytes: z.int(), limitBytes: z.int() }).nullable().describe("of the embedded store"),
});

type Told = Omit<SupervisorStatus, "store"> & { readonly store: Omit<SupervisorStatus["store"], "process"> };

export const StatusShape = z.looseObject({
  state: z.enum(["starting", "serving", "draining", "stopped"]),
  version: z.string(),
  pid: z.int(),
  uptimeMs: z.number(),
  configFile: z.string(),
  listeners: z.array(z.looseObject({ host: z.string(), port: z.int() })),
  release: z.looseObject({ id: z.string(), rules: z.array(z.string()) }),
  workers: z.array(Worker),
  workerRestarts: z.record(z.string(), z.int()).describe("how workers ended unasked, and how often"),
  lastReload: z.looseObject({ atUnixMs: z.number(), ok: z.boolean(), reason: z.string() }).nullable(),
  quarantined: z.array(z.string()).describe("rules that are not run any more on at least one worker"),
  upstreams: z.array(Target),
  store: Store,
  recording: z.looseObject({ recorded: z.int(), dropped: z.int() }).nullable(),
  deployed: z
    .looseObject({ gateway: z.string(), ...report, gateways: z.array(Gateway) })
    .nullable()
    .describe("what all gateways serve, as the store told it last; null: this gateway takes no deployments"),
}) satisfies z.ZodType<Told>;
