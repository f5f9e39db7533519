/** `/v1/experiments`: what runs, what came of it, and what operators decide about it. */
import type { ExperimentData } from "../experiments/experiment-data.ts";
import { type LiveBoard, type LiveEntry, type LiveWatch, readLive } from "../experiments/live/live.ts";
import { report } from "../experiments/study/report.ts";
import { summary } from "../experiments/study/summary.ts";
import { type StoryLine, tell } from "../experiments/study/story.ts";
import { nearest } from "../nearest.ts";
import type { Store } from "../store/store.ts";
import { type AdminCode, type Answer, type Asked, type Endpoint, failure, json } from "./answers.ts";
import { atDesk } from "./desk.ts";
import { Decide, Decided, Force, Forced, Listed, ReportShape, Ship } from "./experiment-shapes.ts";

export interface ExperimentDesk {
  readonly store: Store;
  /** What is decided, and kept in mind should the store lose it. */
  readonly live: Pick<LiveWatch, "set">;
  /** Of the release that serves here. */
  readonly experiments: () => readonly ExperimentData[];
  /** Does this gateway look at them? */
  readonly leads: () => boolean;
  readonly unixMs: () => number;
  /** A signed token that shows one variant to whoever opens a link with it. */
  readonly mint: (experiment: string, variant: string, untilUnixMs: number) => Promise<{ readonly parameter: string; readonly token: string }>;
}

const LINK_MS = 60 * 60 * 1000;
const REFUSALS: Readonly<Record<number, readonly AdminCode[]>> = { 404: ["EXPERIMENT_UNKNOWN"], 503: ["NOT_READY", "STORE_AWAY"] };
const VARIANT_REFUSALS: typeof REFUSALS = { ...REFUSALS, 404: ["EXPERIMENT_UNKNOWN", "VARIANT_UNKNOWN"] };
const KEY = { key: "the experiment's key" };

/** `desk` null: the release that serves has no experiments, or this gateway is still starting. */
export function experimentEndpoints(desk: () => ExperimentDesk | null): Endpoint[] {
  const at = atDesk(desk, { found: "no experiments here, or not yet", expected: "a release that has some" });
  const one = (run: (asked: Asked, desk: ExperimentDesk, data: ExperimentData) => Promise<Answer>) =>
    at(async (asked, open) => {
      const data = open.experiments().find(({ key }) => key === asked.params["key"]);
      return data === undefined ? unknownExperiment(asked.params["key"]!, open) : run(asked, open, data);
    });
  const listed = at(list);
  // A release without experiments has an empty list.
  return [...looking((asked) => (desk() === null ? json(200, { experiments: [], leads: false }) : listed(asked)), one), ...deciding(one)];
}

type RunOne = (asked: Asked, desk: ExperimentDesk, data: ExperimentData) => Promise<Answer>;
type At<R> = (run: R) => Endpoint["answer"];

function looking(list: Endpoint["answer"], one: At<RunOne>): Endpoint[] {
  return [
    {
      path: "/v1/experiments",
      method: "GET",
      role: "read",
      about: "The experiments of the release that serves, with what is known of each in one sentence.",
      answers: { 200: Listed },
      refusals: { 503: REFUSALS[503]! },
      answer: list,
    },
    {
      path: "/v1/experiments/{key}",
      method: "GET",
      role: "read",
      about: "The report: counts, analysis, verdict, how they grew, guardrails, and how far to trust the counts.",
      parameters: KEY,
      answers: { 200: ReportShape },
      refusals: REFUSALS,
      answer: one(async (_asked, { store, unixMs }, data) => json(200, await report(store, data, entryOf(await readLive(store), data.key), unixMs()))),
    },
  ];
}

function deciding(one: At<RunOne>): Endpoint[] {
  return [
    {
      path: "/v1/experiments/{key}/stop",
      method: "POST",
      role: "activate",
      about: "Everybody sees control from now on, on every gateway within two seconds; nothing is counted any more.",
      parameters: KEY,
      asks: Decide,
      answers: { 200: Decided },
      refusals: REFUSALS,
      answer: one((asked, open, data) => decide(asked, open, data, { kind: "stopped" }, "stopped")),
    },
    {
      path: "/v1/experiments/{key}/start",
      method: "POST",
      role: "activate",
      about: "A stopped or shipped experiment runs again, with the counts that it has. A guardrail stops a version once: who starts it again is believed.",
      parameters: KEY,
      asks: Decide,
      answers: { 200: Decided },
      refusals: REFUSALS,
      answer: one((asked, open, data) => decide(asked, open, data, { kind: "running" }, "started")),
    },
    {
      path: "/v1/experiments/{key}/ship",
      method: "POST",
      role: "activate",
      about: "Everybody in the audience sees this variant from now on; nothing is counted any more.",
      parameters: KEY,
      asks: Ship,
      answers: { 200: Decided },
      refusals: VARIANT_REFUSALS,
      answer: one(async (asked, open, data) => {
        const { variant } = asked.body as { variant: string };
        return hasVariant(data, variant) ? decide(asked, open, data, { kind: "shipped", variant }, "shipped") : unknownVariant(data, variant);
      }),
    },
    {
      path: "/v1/experiments/{key}/force",
      method: "POST",
      role: "activate",
      about: "A signed token for a link that shows one variant to whoever opens it, and counts nothing.",
      parameters: KEY,
      asks: Force,
      answers: { 200: Forced },
      refusals: VARIANT_REFUSALS,
      answer: one(force),
    },
  ];
}

async function list(_asked: Asked, { store, experiments, leads }: ExperimentDesk): Promise<Answer> {
  const board = await readLive(store);
  const listed = await Promise.all(experiments().map(async (data) => summary(store, data, entryOf(board, data.key))));
  return json(200, { experiments: listed, leads: leads() });
}

async function decide(
  { actor, body }: Asked,
  { store, live: board, unixMs }: ExperimentDesk,
  { key, bucketVersion }: ExperimentData,
  state: LiveEntry["state"],
  what: StoryLine["what"],
): Promise<Answer> {
  const { reason = "" } = body as { reason?: string };
  const live: LiveEntry = { state, reason, by: actor, atUnixMs: unixMs() };
  await board.set(key, live, null);
  const which = state.kind === "shipped" ? `${state.variant}${reason === "" ? "" : `: ${reason}`}` : reason;
  await tell(store, key, { atUnixMs: live.atUnixMs, version: bucketVersion, what, by: actor, why: which });
  return json(200, { key, live });
}

async function force({ body }: Asked, { mint, unixMs }: ExperimentDesk, data: ExperimentData): Promise<Answer> {
  const { variant, lifetimeMs = LINK_MS } = body as { variant: string; lifetimeMs?: number };
  if (!hasVariant(data, variant)) return unknownVariant(data, variant);
  const untilUnixMs = unixMs() + lifetimeMs;
  return json(200, { key: data.key, variant, ...(await mint(data.key, variant, untilUnixMs)), untilUnixMs });
}

function entryOf(board: LiveBoard, key: string): LiveEntry {
  return board.entries.get(key) ?? { state: { kind: "running" }, reason: "", by: "", atUnixMs: 0 };
}

const hasVariant = ({ variants }: ExperimentData, variant: string): boolean => variants.some(({ key }) => key === variant);

function unknownExperiment(key: string, { experiments }: ExperimentDesk): Answer {
  const keys = experiments().map((data) => data.key);
  const near = nearest(key, keys);
  return failure(404, {
    code: "EXPERIMENT_UNKNOWN",
    found: `"${key.slice(0, 100)}"`,
    expected:
      keys.length === 0 ? "an experiment of the release that serves, which has none" : near === "" ? `one of ${keys.slice(0, 20).join(", ")}` : `"${near}"`,
  });
}

function unknownVariant({ variants }: ExperimentData, variant: string): Answer {
  return failure(404, { code: "VARIANT_UNKNOWN", found: `"${variant}"`, expected: `one of ${variants.map(({ key }) => key).join(", ")}` });
}
