/** What is counted when an answer is about to leave: exposures where variants differ, for control at the same places, and goals behind them. */
import type { Assignment } from "../../experiments/assign/plan.ts";
import type { CountedExchange, Counting, GoalExchange } from "../../experiments/count/counting.ts";
import { awaitsBody, GOAL_BODY_LIMIT_BYTES, isAbout } from "../../experiments/count/counting.ts";
import { isEditable } from "../../experiments/edits/edits.ts";
import { ERRORS } from "../../errors.ts";
import { decodeBody } from "../coding.ts";
import { OverheardBody } from "../overheard-body.ts";
import type { GatewayResponse } from "../reply.ts";
import type { ExchangeExperiments } from "./exchange-experiments.ts";
import { wantsPage } from "./request-changes.ts";
import { type ExperimentEntry, IN_PAGES_PLACE, NO_PAGE, type Page, WHOLE_PAGE } from "./table.ts";

/** `page`: the response as it was before variants changed it. Where a goal's value is read from the body, it is counted as that flows by. */
export function countResponse(experiments: ExchangeExperiments, response: GatewayResponse, page: Page): void {
  const { counting } = experiments.seat.parts;
  if (counting === null || response.tunnel !== null || experiments.assignments === null) return;
  // Whoever looks at a release before it serves is no visitor of it.
  if (experiments.life.inputs.preview !== "") return;
  if (experiments.asked.method !== "HEAD") countExposures(experiments, counting, response, page);
  if (experiments.tracked !== null) for (const { goal, value } of experiments.tracked.splice(0)) countTracked(experiments, goal, value);
  if (experiments.goals.length > 0) countGoals(experiments, counting, response);
}

function countGoals(experiments: ExchangeExperiments, counting: Counting, response: GatewayResponse): void {
  const reached = experiments.goals.flatMap(({ experiment, goal }) => {
    const assignment = experiments.assignmentElsewhere(experiment.data.key);
    return isAbout(assignment, goal) ? [{ assignment, goal }] : [];
  });
  if (reached.length === 0) return;
  const exchange = new CountedResponse(experiments, response);
  const type = response.fields.get("content-type") ?? "";
  const later = reached.filter(({ goal }) => awaitsBody(goal, response.status, type));
  if (later.length < reached.length)
    counting.completed(
      reached.filter((one) => !later.includes(one)),
      exchange,
    );
  if (later.length === 0) return;
  overhear(response, (body) => {
    exchange.body = body;
    counting.completed(later, exchange);
  });
}

export function pageOf(experiments: ExchangeExperiments, response: GatewayResponse): Page {
  const { status } = response;
  if (isEditable(status, response.fields) && response.error === null) return WHOLE_PAGE;
  // A browser that holds the page, and an error in its place: it would have been one.
  const inPlace = status === 304 || status >= 500;
  return inPlace && wantsPage(experiments.asked.method, experiments.asked.fields) ? IN_PAGES_PLACE : NO_PAGE;
}

function countExposures(experiments: ExchangeExperiments, counting: Counting, response: GatewayResponse, page: Page): void {
  const { matched, redirected, unseen } = experiments;
  let exchange: CountedResponse | null = null;
  for (let i = 0; i < matched.length; i++) {
    const entry = matched[i]!;
    const assignment = experiments.assignments![i]!;
    // Behind a redirect of another experiment nothing of this one was seen.
    if (!assignment.counted || (redirected !== null && redirected !== entry)) continue;
    if (unseen !== null && unseen.includes(entry)) {
      // Nothing that differs was found here, or not yet; but another worker may have shown it.
      if (response.status >= 500) counting.failed(assignment, (exchange ??= new CountedResponse(experiments, response)));
    } else if (isEffective(experiments, entry, response, page)) {
      if (assignment.shared?.isTold === true && response.status < 500) experiments.exposed(assignment);
      else expose(experiments, assignment, (exchange ??= new CountedResponse(experiments, response)));
    }
  }
}

/** Something that differs is delivered to a unit that counts. */
export function expose(experiments: ExchangeExperiments, assignment: Assignment, exchange: CountedExchange): void {
  experiments.exposed(assignment);
  const isTold = experiments.seat.parts.counting?.exposed(assignment, exchange) ?? false;
  if (assignment.shared !== undefined) assignment.shared.isTold = isTold;
}

/** Does what is delivered depend on the variant, whichever it is? Of pages that are edited: may it? */
export function isEffective(experiments: ExchangeExperiments, { data, touches }: ExperimentEntry, response: GatewayResponse, { isPage }: Page): boolean {
  if (experiments.isAskedFor(data.key)) return true;
  if (touches.head || (touches.page && isPage)) return true;
  return (touches.redirect || touches.origin) && experiments.reachedOrigin && response.from !== "rule";
}

export function countTracked(experiments: ExchangeExperiments, name: string, value: number | null): void {
  const { counting, clock } = experiments.seat.parts;
  for (const { experiment, goal } of experiments.table.tracking(name)) {
    const assignment = experiments.assignmentElsewhere(experiment.data.key);
    if (isAbout(assignment, goal)) counting?.tracked(assignment, goal, value, `${experiments.life.id}.${experiments.nextTracked++}`, clock.unixMs());
  }
}

/** As things stood when the response's head was known; the rest is worked out when it is asked for. */
export class CountedResponse implements GoalExchange {
  readonly #experiments: ExchangeExperiments;
  readonly #response: GatewayResponse;
  readonly status: number;
  readonly atUnixMs: number;
  readonly firstByteMs: number;
  body: Buffer | null = null;

  constructor(experiments: ExchangeExperiments, response: GatewayResponse) {
    this.#experiments = experiments;
    this.#response = response;
    this.status = response.status;
    const { clock } = experiments.seat.parts;
    this.atUnixMs = clock.unixMs();
    this.firstByteMs = clock.now() - experiments.life.exchange.startedAtMs;
  }
  get requestId(): string {
    return this.#experiments.life.id;
  }
  get method(): string {
    return this.#experiments.asked.method;
  }
  get target(): string {
    const { path, query } = this.#experiments.asked;
    return query === "" ? path : `${path}?${query}`;
  }
  get idempotencyKey(): string | null {
    return this.#experiments.asked.fields.get("idempotency-key") ?? null;
  }
  /** What the client caused is no fault of the variant's. */
  get serverError(): boolean {
    const { error } = this.#response;
    return this.status >= 500 && (error === null || ERRORS[error.code].source !== "client");
  }
  get attributes(): Readonly<Record<string, string>> {
    const { host, path, country } = this.#experiments.asked;
    return { host, path, country, device: this.#experiments.userAgent.device, from: this.#response.from };
  }
  header(name: string): string | null {
    return this.#response.fields.joined(name) ?? null;
  }
}

/** `count` is told the body, decoded and whole, before the client has the last of it; null: it is too long, or it broke off. */
function overhear(response: GatewayResponse, count: (body: Buffer | null) => void): void {
  const { body } = response;
  if (body.length === 0 || body.length > GOAL_BODY_LIMIT_BYTES) {
    count(null);
    return;
  }
  const coding = response.fields.joined("content-encoding");
  response.body = new OverheardBody(body, GOAL_BODY_LIMIT_BYTES, (whole) => {
    if (whole !== null && coding !== undefined) return decodeBody(whole, coding, GOAL_BODY_LIMIT_BYTES).then(count, () => count(null));
    count(whole);
    return null;
  });
}
