/** Why a visitor sees a variant, for people. */
import type { AssignReason } from "../../experiments/assign/plan.ts";

export const WHY: Readonly<Record<AssignReason, string>> = {
  bucketed: "that is where the unit's hash falls",
  sticky: "the unit has seen it before (its cookie says so)",
  forced: "a QA link forces it",
  stopped: "the experiment is stopped: everybody sees control",
  shipped: "it is shipped: everybody sees it",
  "no-match": "the experiment does not act on this request",
  audience: "the client is not one that the experiment is for (device, or audience)",
  bot: "the User-Agent is a bot's, and bots see control",
  consent: "the visitor has not given consent",
  "no-unit": "the request holds no unit",
  holdout: "the unit is in the holdout",
  "other-experiment": "the unit belongs to another experiment of the layer",
  "earlier-version": "the unit has seen a version below minBucketVersion",
  "outside-traffic": "the unit is outside the share of traffic that takes part",
};
