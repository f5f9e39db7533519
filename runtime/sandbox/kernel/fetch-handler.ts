/** `fromFetchHandler`: the handler's Response as this rule's answer. */
import type { FetchHandler } from "../../../sdk/index.ts";
import { RuleContext } from "./context.ts";
import { RequestFacade } from "./request.ts";
import { MAX_BODY_UNITS } from "../protocol.ts";
import type { RuleRun } from "./rule-run.ts";
import { runFetchHandler } from "./web/web.ts";

export function answerByFetch(run: RuleRun, handler: FetchHandler): Promise<unknown> {
  const req = new RequestFacade(run);
  const ctx = new RuleContext(run, req);
  const lent = {
    vars: run.rule.vars as object,
    secrets: run.rule.secrets,
    waitUntil: (work: Promise<unknown>) => ctx.waitUntil(work),
  };
  return runFetchHandler(handler, { method: req.method, url: req.url, headers: req.headers, bytes: () => req.bytes() }, lent, MAX_BODY_UNITS);
}
