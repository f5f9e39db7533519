/** What is counted when an answer is about to leave: exposures where variants differ, for control at the same places, and goals behind them. */
import type { CountedExchange, Counting } from "../../experiments/count/counting.ts";
import { GOAL_BODY_LIMIT_BYTES } from "../../experiments/count/counting.ts";
import { editable } from "../../experiments/edits/edits.ts";
import { ERRORS } from "../../errors.ts";
import { decodeBody } from "../coding.ts";
import { HeldBody } from "../held-body.ts";
import type { GatewayResponse } from "../reply.ts";
import type { ExchangeExperiments } from "./exchange-experiments.ts";
import { wantsPage } from "./request-changes.ts";
import type { ExperimentEntry } from "./table.ts";
import { userAgentOf } from "./user-agents.ts";

/** `page`: the response as it was before variants changed it. A promise where a goal's value is read from the body. */
export function countResponse(experiments: ExchangeExperiments, response: GatewayResponse, page: Page): Promise<void> | null {
  const { counting } = experiments.seat.parts;
  if (counting === null || response.tunnel !== null || experiments.assignments === null) return null;
  const exchange = exchangeOf(experiments, response);
  if (experiments.asked.method !== "HEAD") countExposures(experiments, counting, exchange, response, page);
  if (experiments.tracked !== null) for (const { goal, value } of experiments.tracked.splice(0)) countTracked(experiments, goal, value);
  const reached = experiments.goals.flatMap(({ experiment, goal }) => {
    const assignment = experiments.assignmentElsewhere(experiment.data.key);
    return assignment.counted ? [{ assignment, goal }] : [];
  });
  if (reached.length === 0) return null;
  const header = (name: string): string | null => response.fields.joined(name) ?? null;
  if (!experiments.goals.some(({ readsBody }) => readsBody)) {
    counting.completed(reached, { ...exchange, header, body: null });
    return null;
  }
  return bodyIn(response).then((body) => counting.completed(reached, { ...exchange, header, body }));
}

/** What matters of a response for whether variants may differ there. */
export interface Page {
  readonly isPage: boolean;
}

export function pageOf(experiments: ExchangeExperiments, response: GatewayResponse): Page {
  const { status } = response;
  if (editable(status, response.fields).editable && response.error === null) return { isPage: true };
  // A browser that holds the page, and an error in its place: it would have been one.
  const inPlace = status === 304 || status >= 500;
  return { isPage: inPlace && wantsPage(experiments.asked.method, experiments.asked.fields) };
}

function countExposures(experiments: ExchangeExperiments, counting: Counting, exchange: CountedExchange, response: GatewayResponse, page: Page): void {
  const { matched, redirected } = experiments;
  for (let i = 0; i < matched.length; i++) {
    const entry = matched[i]!;
    const assignment = experiments.assignments![i]!;
    if (!assignment.counted || !isEffective(experiments, entry, response, page)) continue;
    // Behind a redirect of another experiment nothing of this one was seen.
    if (redirected !== null && redirected !== entry) continue;
    counting.exposed(assignment, exchange);
    experiments.exposed(assignment);
  }
}

/** Does what is delivered depend on the variant, whichever it is? */
function isEffective(experiments: ExchangeExperiments, { data, touches }: ExperimentEntry, response: GatewayResponse, { isPage }: Page): boolean {
  if (experiments.isAskedFor(data.key)) return true;
  if (touches.head || (touches.page && isPage)) return true;
  return (touches.redirect || touches.origin) && experiments.reachedOrigin && response.from !== "rule";
}

export function countTracked(experiments: ExchangeExperiments, name: string, value: number | null): void {
  const { counting, clock } = experiments.seat.parts;
  for (const { experiment, goal } of experiments.table.tracking(name)) {
    const assignment = experiments.assignmentElsewhere(experiment.data.key);
    if (assignment.counted) counting?.tracked(assignment, goal, value, `${experiments.life.id}.${experiments.nextTracked++}`, clock.unixMs());
  }
}

function exchangeOf(experiments: ExchangeExperiments, { status, from, error }: GatewayResponse): CountedExchange {
  const { life, asked, seat } = experiments;
  const userAgent = userAgentOf(asked.fields.get("user-agent"));
  return {
    requestId: life.id,
    atUnixMs: seat.parts.clock.unixMs(),
    method: asked.method,
    target: asked.query === "" ? asked.path : `${asked.path}?${asked.query}`,
    idempotencyKey: asked.fields.get("idempotency-key") ?? null,
    status,
    firstByteMs: seat.parts.clock.now() - life.exchange.startedAtMs,
    // What the client caused is no fault of the variant's.
    serverError: status >= 500 && (error === null || ERRORS[error.code].source !== "client"),
    attributes: { host: asked.host, path: asked.path, country: asked.country, device: userAgent.device, from },
  };
}

/** Decoded and whole, and still there to be delivered; null: it is too long, or it broke off. */
async function bodyIn(response: GatewayResponse): Promise<Buffer | null> {
  if (response.body.length === 0 || response.body.length > GOAL_BODY_LIMIT_BYTES) return null;
  const held = response.body instanceof HeldBody ? response.body : new HeldBody(response.body);
  response.body = held;
  return held
    .collect(GOAL_BODY_LIMIT_BYTES)
    .then((bytes) => decodeBody(bytes, response.fields.joined("content-encoding"), GOAL_BODY_LIMIT_BYTES))
    .catch(() => null);
}
