/** `ctx.limit`: a limit that a rule names, with a key that the rule makes. */
import { LRUCache } from "lru-cache";
import { z } from "zod";
import { GatewayError } from "../errors.ts";
import { ALGORITHMS } from "./algorithms.ts";
import type { LimitReason } from "./decision.ts";
import { policyMember, retryAfterSeconds, stateMember } from "./fields.ts";
import { keyOfText, storePrefix } from "./keys.ts";
import { LIMIT_NAME, type LimitInput, type LimitPolicy, MAX_UNITS, resolvePolicy } from "./policy.ts";
import type { Checks } from "./route-limits.ts";

/** A stranger's words. Longer keys are known by a digest; this only bounds what has to be digested. */
const MAX_KEY_UNITS = 16 * 1024;
/** Of all rules together; a rule that makes up names makes up policies. */
const MAX_POLICIES = 1000;

export const LimitCall = z.strictObject({
  name: z.string().regex(LIMIT_NAME, 'a name of letters, digits, ".", "_" and "-", at most 64, is expected'),
  key: z.string().max(MAX_KEY_UNITS),
  cost: z.int().min(0).max(MAX_UNITS).optional(),
  rate: z.string().max(64),
  burst: z.number().optional(),
  algorithm: z.enum(ALGORITHMS).optional(),
  mode: z.enum(["exact", "leased"]).optional(),
  shadow: z.boolean().optional(),
  onStoreLoss: z.enum(["local", "open", "closed"]).optional(),
  penalty: z.strictObject({ after: z.number().optional(), block: z.string().max(64) }).optional(),
});

/** What a rule gets. */
export interface RuleLimitReply {
  readonly allowed: boolean;
  readonly remaining: number;
  readonly resetMs: number;
  readonly retryAfterMs: number;
  readonly reason: LimitReason;
  readonly headers: Readonly<Record<string, string>>;
}

interface RulePolicy {
  readonly policy: LimitPolicy;
  readonly prefix: string;
  readonly policyField: string;
}

export class RuleLimits {
  readonly #limiter: Checks;
  readonly #policies = new LRUCache<string, RulePolicy>({ max: MAX_POLICIES });

  constructor(limiter: Checks) {
    this.#limiter = limiter;
  }

  /** `whenOver`: how to be told that the exchange is over, for what is in flight until then. */
  async charge(call: z.infer<typeof LimitCall>, whenOver: (run: () => void) => void): Promise<RuleLimitReply> {
    const { name, key, cost = 1, ...input } = call;
    const { policy, prefix, policyField } = this.#policy(name, input);
    if (cost > policy.capacity)
      throw new GatewayError("SERVICE_REFUSED", `limit: "${name}": cost: found ${cost}, expected at most ${policy.capacity}: more can never be had at once`);
    const ask = { policy, key: prefix + keyOfText(key), cost, want: cost, group: name };
    const { results, degraded, release } = await this.#limiter.check([ask]);
    if (release !== null) whenOver(release);
    const result = results[0]!;
    return {
      ...result,
      headers: {
        ...(policy.shadow ? {} : { "ratelimit-policy": policyField, ratelimit: stateMember(policy, result) }),
        ...(result.allowed ? {} : { "retry-after": String(retryAfterSeconds(result.retryAfterMs)) }),
        ...(degraded === null ? {} : { "sluice-degraded": `limits;mode=${degraded}` }),
      },
    };
  }

  #policy(name: string, input: LimitInput): RulePolicy {
    const written = `${name} ${JSON.stringify(input)}`;
    let known = this.#policies.get(written);
    if (known === undefined) {
      const resolved = resolvePolicy(name, "rule", input);
      if ("problems" in resolved) {
        const { at, expected } = resolved.problems[0]!;
        throw new GatewayError("SERVICE_REFUSED", `limit: "${name}": ${at}: found ${JSON.stringify(input[at])}, expected ${expected}`);
      }
      const { policy } = resolved;
      known = { policy, prefix: storePrefix(policy, name), policyField: policyMember(policy) };
      this.#policies.set(written, known);
    }
    return known;
  }
}
