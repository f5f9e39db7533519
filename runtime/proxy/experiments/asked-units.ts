/** Units and audiences that somebody else has to be asked for: an experiment's functions in the sandbox, and claims of a token that is verified first. */
import type { ClaimOptions } from "../../../sdk/experiment.ts";
import type { ExchangeHandle, HookOutcome, HookRun } from "../../sandbox/sandbox.ts";
import { cookieIn } from "./gateway-marks.ts";
import type { ExchangeExperiments } from "./exchange-experiments.ts";
import type { ExperimentEntry } from "./table.ts";

/** What an experiment's functions said. */
export interface Said {
  readonly within: boolean;
  readonly unit: string | null;
}

/** Longer ones are nobody here; of cookies and headers they are told apart by a digest. */
export const MAX_UNIT_UNITS = 512;
/** A key set is fetched once in a while; a request waits this long for it. */
const VERIFY_MS = 1000;

/** null: it was known from before. Functions that fail say nothing: then the unit is not in the experiment. */
export function runFunctions(
  experiments: ExchangeExperiments,
  entries: readonly ExperimentEntry[],
  tell: (key: string, said: Said) => void,
): Promise<void> | null {
  const { life, table, seat } = experiments;
  const sandbox = seat.parts.sandbox();
  if (sandbox === null || life.table.loaded === null) return null;
  const { rules, params } = table.running(entries);
  const handle = new LookingExchange(life);
  const run: HookRun & { extra: string } = {
    release: life.table.loaded,
    phase: "onRequest",
    rules,
    params,
    request: { ...life.request },
    response: null,
    extra: "",
    exchange: handle,
  };
  const told = (_outcome: HookOutcome): void => {
    for (const { number, data } of entries) {
      const said = readSaid(handle.state.get(number));
      if (said !== null) tell(data.key, said);
    }
  };
  const recalled = sandbox.recall(run);
  if (recalled !== null) {
    told(recalled);
    return null;
  }
  run.extra = life.extraText("");
  return sandbox.run(run).then(told);
}

/** A stranger's word. */
function readSaid(json: string | undefined): Said | null {
  if (json === undefined) return null;
  const value = JSON.parse(json) as { within?: unknown; unit?: unknown } | null;
  const unit = value?.unit;
  return { within: value?.within === true, unit: typeof unit === "string" && unit !== "" && unit.length <= MAX_UNIT_UNITS ? unit : null };
}

/** Functions of experiments look: what they read keeps no answer out of the cache, for it depends on the variant alone. */
class LookingExchange implements ExchangeHandle {
  readonly id: string;
  readonly received: ExchangeHandle["received"];
  readonly client: { readonly address: string };
  readonly state = new Map<number, string>();
  ruleWallMs = 0;
  fetches = 0;
  readonly #life: ExchangeExperiments["life"];

  constructor(life: ExchangeExperiments["life"]) {
    this.#life = life;
    this.id = life.id;
    this.received = life.received;
    this.client = life.client;
  }
  get signal(): AbortSignal {
    return this.#life.signal;
  }
  readRequestBody(): Promise<Buffer> {
    return Promise.reject(new TypeError("an experiment's functions don't read bodies"));
  }
  readResponseBody(): Promise<Buffer> {
    return this.readRequestBody();
  }
  whenOver(run: () => void): void {
    this.#life.whenOver(run);
  }
}

/** Tells the claims that the units of an experiment are made of, if the token is genuine. */
export async function claimsOf(experiments: ExchangeExperiments, { data }: ExperimentEntry, tell: (claim: string, value: string) => void): Promise<void> {
  const { config, verifyToken } = experiments.seat.parts;
  for (const source of [data.unit, data.fallbackUnit]) {
    if (typeof source !== "object" || source?.kind !== "claim") continue;
    const { name, verify } = source;
    const token = tokenIn(experiments, verify);
    if (token === null) continue;
    const { secret, jwksUrl, issuer, audience, algorithms } = verify;
    const claims = await inTime(
      experiments,
      data.key,
      verifyToken({
        token,
        ...(secret === undefined ? {} : { key: config.secrets[secret] ?? "" }),
        ...(jwksUrl === undefined ? {} : { jwksUrl }),
        ...(issuer === undefined ? {} : { issuer: listed(issuer) }),
        ...(audience === undefined ? {} : { audience: listed(audience) }),
        ...(algorithms === undefined ? {} : { algorithms: [...algorithms] }),
      }),
    );
    const value = claims === null ? undefined : claims[name];
    if ((typeof value === "string" && value !== "" && value.length <= MAX_UNIT_UNITS) || typeof value === "number") tell(name, String(value));
  }
}

/** What can't be verified, or not in time, is no claim: an experiment holds up nobody, and breaks nothing. */
async function inTime<T>({ seat }: ExchangeExperiments, experiment: string, verifying: Promise<T | null>): Promise<T | null> {
  const { clock } = seat.parts;
  const late = Promise.withResolvers<null>();
  const timer = clock.after(VERIFY_MS, () => {
    seat.warnOnce(
      experiment,
      `experiment ${experiment}: the key set of its unit's claim did not come within ${VERIFY_MS} ms: until it does, nobody has that unit`,
    );
    late.resolve(null);
  });
  try {
    return await Promise.race([verifying, late.promise]);
  } catch (thrown) {
    seat.warnOnce(experiment, `experiment ${experiment}: the claim of its unit cannot be verified: ${String(thrown)}`);
    return null;
  } finally {
    timer.cancel();
  }
}

function tokenIn({ asked }: ExchangeExperiments, { from }: ClaimOptions): string | null {
  if (from === undefined) {
    const field = asked.fields.get("authorization");
    return field !== undefined && /^bearer /i.test(field) ? field.slice(7).trim() : null;
  }
  if ("cookie" in from) return cookieIn(asked.fields, from.cookie);
  if ("query" in from) return new URLSearchParams(asked.query).get(from.query);
  const field = asked.fields.get(from.header.toLowerCase());
  return field === undefined ? null : field.replace(/^bearer /i, "").trim();
}

function listed(value: string | readonly string[]): string | string[] {
  return typeof value === "string" ? value : [...value];
}
