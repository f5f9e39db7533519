/** The door of assignment: who sees which variant, and how that is remembered and forced. */
export { Assigner } from "./assigner.ts";
export type { AssignFacts } from "./assigner.ts";
export { changedWithoutVersion } from "./changes.ts";
export { CookieMemory } from "./cookie-memory.ts";
export { planOf } from "./from-experiment.ts";
export { layerProblems } from "./layers.ts";
export { bucketOf, fnv32a } from "./hash.ts";
export type { HashVersion } from "./hash.ts";
export type { AssignPlan, LiveState, StickyEntry, UnitSource } from "./plan.ts";
export { QA_COOKIE, QA_LIFETIME_LIMIT_MS, qaCookie, signQaToken, verifyQaToken } from "./qa-token.ts";
export { rangeAt, rangesOf } from "./ranges.ts";
export { seal, unseal } from "./sealed.ts";
export type { SealKeys } from "./sealed.ts";
export { readSticky, remember, STICKY_COOKIE, stickyCookie, StickyReader } from "./sticky.ts";
export { readVisitor, VISITOR_COOKIE, visitorCookie, visitorIdOf, VisitorReader } from "./visitor.ts";
