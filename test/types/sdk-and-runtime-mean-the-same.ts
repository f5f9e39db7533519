/** Type tests: words that stand on both sides of the wall between SDK and runtime are equal. */
import { expectTypeOf } from "expect-type";
import type {
  Client,
  Completion,
  ExchangeError,
  Hooks,
  LimitAlgorithm,
  LimitCallOptions,
  LimitResult,
  MatchSpec,
  OneOrMany,
  ResponseSource,
  Rule,
} from "sluice";
import type { Phase, RuleManifest } from "../../runtime/compile/release.ts";
import type { MatchSpec as CoreMatchSpec, OneOrMany as CoreOneOrMany, Params } from "../../runtime/proxy/match/match.ts";
import type { Algorithm } from "../../runtime/ratelimit/algorithms.ts";
import type { LimitInput } from "../../runtime/ratelimit/policy.ts";
import type { RuleLimitReply } from "../../runtime/ratelimit/rule-limits.ts";
import type { HookExtra } from "../../runtime/sandbox/protocol.ts";
import type { RequestFacts } from "sluice";

expectTypeOf<MatchSpec>().toEqualTypeOf<CoreMatchSpec>();
expectTypeOf<OneOrMany>().toEqualTypeOf<CoreOneOrMany>();
expectTypeOf<keyof Hooks>().toEqualTypeOf<Phase>();
expectTypeOf<RequestFacts["params"]>().toEqualTypeOf<Params>();
expectTypeOf<Client>().toEqualTypeOf<NonNullable<HookExtra["client"]>>();
expectTypeOf<ResponseSource>().toEqualTypeOf<NonNullable<HookExtra["from"]>>();
expectTypeOf<ExchangeError>().toEqualTypeOf<NonNullable<HookExtra["error"]>>();
expectTypeOf<Completion>().toEqualTypeOf<NonNullable<HookExtra["complete"]>>();
expectTypeOf<LimitAlgorithm>().toEqualTypeOf<Algorithm>();
expectTypeOf<LimitResult>().toEqualTypeOf<RuleLimitReply>();
expectTypeOf<keyof LimitCallOptions>().toEqualTypeOf<keyof LimitInput | "key" | "cost">();
expectTypeOf<Rule["when"]>().toEqualTypeOf<RuleManifest["when"]>();
expectTypeOf<Rule["onFailure"]>().toEqualTypeOf<RuleManifest["onFailure"]>();
expectTypeOf<Rule["secrets"]>().toEqualTypeOf<RuleManifest["secrets"]>();
