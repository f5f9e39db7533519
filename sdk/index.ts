/** `import { … } from "sluice"`: what rules and configs are written with. Data and types only; the gateway gives them life. */
export { next, redirect, respond } from "./answers.ts";
export type { Answer, BodyInput, HeaderInput, Next, RedirectStatus } from "./answers.ts";
export type {
  ApiKeyOptions,
  Auth,
  AuthReason,
  BasicOptions,
  Claims,
  CredentialSource,
  ForwardAnswer,
  ForwardOptions,
  HmacIdentity,
  HmacOptions,
  JwtAlgorithm,
  JwtOptions,
} from "./auth.ts";
export type { CacheDecision, CacheKeyOptions, CachePutOptions, RuleCache } from "./cache.ts";
export { defineConfig } from "./config.ts";
export type {
  CacheOptions,
  ConfigOptions,
  FetchOptions,
  GeoOptions,
  LimitOptions,
  ListenerOptions,
  LogOptions,
  ExperimentsOptions,
  RecordOptions,
  RedisOptions,
  RouteCacheOptions,
  RouteOptions,
  SecretSource,
  StoreOptions,
  TargetOptions,
  UpstreamOptions,
  UpstreamTimeouts,
} from "./config.ts";
export type { AdminOptions, AdminTlsOptions, AdminTokenOptions, CanaryOptions, ReleaseKeyOptions, ReleasesOptions } from "./config-control.ts";
export type { AssignedVariant, Client, CompletionContext, Context, Fetch, FetchInit, Log, RequestContext, Vars } from "./context.ts";
export { claim, cookie, defineExperiment, header } from "./experiment.ts";
export type {
  ClaimOptions,
  Experiment,
  ExperimentInit,
  Goal,
  Guardrails,
  StatusPattern,
  TrackedGoal,
  TrafficGoal,
  Unit,
  UnitPlace,
  VariantChanges,
} from "./experiment.ts";
export { fromFetchHandler } from "./fetch-handler.ts";
export type { ExecutionContext, FetchAnswer, FetchHandler, FetchHook } from "./fetch-handler.ts";
export { html } from "./html.ts";
export type { EditContent, HtmlContent, HtmlEdit, HtmlVerbs, InsertPlace, ScriptOptions, StyleOptions } from "./html.ts";
export type { ElementHandlers, HtmlElement, PageEdits } from "./html-element.ts";
export type { Kv, KvDeleteOptions, KvEntry, KvIncrementOptions, KvSetOptions, KvStored } from "./kv.ts";
export type { Limit, LimitAlgorithm, LimitCallOptions, LimitKey, LimitResult, Rate, RateLimitOptions, RouteLimitOptions } from "./limits.ts";
export type { MatchSpec, OneOrMany } from "./match.ts";
export type {
  BodyReader,
  Completion,
  ExchangeError,
  FailedRequest,
  MutableHeaders,
  MutableQuery,
  OriginRequest,
  OriginResponse,
  ReadonlyHeaders,
  ReadonlyQuery,
  RequestFacts,
  ResponseFacts,
  ResponseSource,
  RuleRequest,
  RuleResponse,
} from "./messages.ts";
export { defineRule } from "./rule.ts";
export type { Hooks, MayAnswer, Nothing, Rule, RuleInit, RuleOptions } from "./rule.ts";
export type { Duration, JsonValue, Share, Size } from "./units.ts";
