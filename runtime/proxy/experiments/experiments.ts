/** The door of experiments in the life of a request: `handler.ts` calls these in its order. */
import { QA_COOKIE } from "../../experiments/assign/assign.ts";
import type { GatewayResponse } from "../reply.ts";
import type { Life } from "../life.ts";
import type { Matchable } from "../match/match.ts";
import { countResponse, countTracked, pageOf } from "./counts.ts";
import { ExchangeExperiments } from "./exchange-experiments.ts";
import { cleanReferer, type QaLink } from "./gateway-marks.ts";
import { lookAtPage } from "./page-effects.ts";
import { changeResponse } from "./response-changes.ts";
import type { ExperimentSeat } from "./seat.ts";
import type { ExperimentTable, Page } from "./table.ts";

export { ExchangeExperiments } from "./exchange-experiments.ts";
export { WHY } from "./why.ts";
export { takeQaLink } from "./gateway-marks.ts";
export { changeRequest } from "./request-changes.ts";
export { getOf, variantForms } from "./variant-forms.ts";
export { ExperimentSeat } from "./seat.ts";

/** null: nothing of this request concerns an experiment. `asked`: the request as it was received. */
export function beginExperiments(life: Life, seat: ExperimentSeat, table: ExperimentTable, asked: Matchable, qa: QaLink | null): ExchangeExperiments | null {
  table.follow(seat.board);
  const qaCookie = life.inputs.cookie(QA_COOKIE);
  if (qaCookie !== null) cleanReferer(life.request.fields);
  const { plan } = life;
  const matched = plan.experiments;
  const { goals } = plan;
  if (matched.length === 0 && goals.length === 0 && plan.asksExperiments === null && !plan.tracks && qa === null) return null;
  // Rules and variants change the fields, and who asks stays who it is.
  const changes = plan.onRequest !== null || plan.changesOrigin || matched.some(({ touches }) => touches.origin);
  return new ExchangeExperiments(life, seat, table, matched, goals, changes ? life.matchable(asked.fields.clone()) : asked, qa, qaCookie);
}

/** The answer as its variants say, counted, and about to leave. */
export function settleResponse(experiments: ExchangeExperiments, response: GatewayResponse): GatewayResponse | Promise<GatewayResponse> {
  const page = pageOf(experiments, response);
  const looking = lookAtPage(experiments, response, page);
  return looking === null ? settled(experiments, response, page) : looking.then(() => settled(experiments, response, page));
}

function settled(experiments: ExchangeExperiments, response: GatewayResponse, page: Page): GatewayResponse | Promise<GatewayResponse> {
  const changed = changeResponse(experiments, response, page);
  if (changed instanceof Promise) return changed.then((answer) => counted(experiments, answer, page));
  return counted(experiments, changed, page);
}

function counted(experiments: ExchangeExperiments, response: GatewayResponse, page: Page): GatewayResponse {
  countResponse(experiments, response, page);
  experiments.isSettled = true;
  return response;
}

/** `ctx.track`: behind the exposures of its own exchange. */
export function track(experiments: ExchangeExperiments, goal: string, value: number | null): void {
  if (experiments.isSettled) countTracked(experiments, goal, value);
  else experiments.track(goal, value);
}
