/** A release as this room holds it: what is needed per hook is worked out when it is loaded. */
import type { Clock } from "../clock.ts";
import { GatewayError } from "../errors.ts";
import type { Phase, Release, SourceMaps } from "../compile/release.ts";
import { SHARED_CONTEXT, type LoadMessage, type LoadRule } from "./protocol.ts";
import { hookPlaces } from "./hook-places.ts";
import { OffenceBook } from "./quarantine.ts";
import { HookMemory, RecallBudget } from "./recall.ts";
import type { LoadedRelease, SandboxOptions } from "./sandbox.ts";
import { StackMapper } from "./stacks.ts";

export class HeldRelease implements LoadedRelease {
  readonly release: Release;
  readonly number: number;
  readonly stacks: StackMapper;
  readonly offences: OffenceBook;
  readonly #loadedMs: number;
  /** By rule, once somebody asked. */
  readonly #hookPlaces: Readonly<Partial<Record<Phase, string>>>[] = [];
  readonly #recall: RecallBudget | null;
  /** By rules in running order, which are the same array for the same hooks. */
  readonly #memories = new Map<Phase, WeakMap<readonly number[], HookMemory | null>>();
  /** Rule → context. Each rule with secrets has one of its own, so that no other rule can reach into it; each that adds globals too, so that they are nobody else's. */
  readonly contexts: readonly number[];
  /** Rule → hooks that ended well or with an error of the rule's own. */
  readonly finished: number[];
  /** Hook calls that have not ended, `waitUntil` work included. */
  running = 0;
  /** Given up: it is unloaded with its last hook. */
  leaving = false;

  constructor(release: Release, number: number, maps: SourceMaps, options: SandboxOptions, clock: Clock) {
    this.release = release;
    this.number = number;
    this.stacks = new StackMapper(release, maps);
    this.offences = new OffenceBook(options.quarantine, () => clock.now());
    this.#loadedMs = Math.floor(options.now());
    this.finished = release.rules.map(() => 0);
    const { ruleRecallBytes = 0 } = options.limits;
    this.#recall = ruleRecallBytes > 0 ? new RecallBudget(ruleRecallBytes) : null;
    let next = SHARED_CONTEXT + 1;
    this.contexts = release.rules.map((rule) => (rule.manifest.secrets.length === 0 && rule.manifest.addsGlobals !== true ? SHARED_CONTEXT : next++));
  }

  nameOf(rule: number): string {
    return this.release.rules[rule]?.manifest.name ?? "";
  }
  hookPlaces(rule: number): Readonly<Partial<Record<Phase, string>>> {
    return (this.#hookPlaces[rule] ??= hookPlaces(this.release.rules[rule]!, this.stacks));
  }
  failsOpen(rule: number): boolean {
    return this.release.rules[rule]!.manifest.onFailure === "open";
  }
  has(rule: number, phase: Phase): boolean {
    return this.release.rules[rule]?.manifest.phases.includes(phase) ?? false;
  }

  /** Rules that may go into one hook call with the one at `from`: one context, and the same word on failure. */
  segmentEnd(rules: readonly number[], from: number): number {
    const first = rules[from]!;
    let end = from + 1;
    while (
      end < rules.length &&
      this.contexts[rules[end]!] === this.contexts[first] &&
      this.failsOpen(rules[end]!) === this.failsOpen(first) &&
      !this.offences.isQuarantined(rules[end]!)
    )
      end++;
    return end;
  }

  /** What these hooks decided before, or null where that cannot be known: a rule keeps state, or they are not one hook call. */
  memoryOf(phase: Phase, rules: readonly number[]): HookMemory | null {
    if (this.#recall === null || !this.offences.clean) return null;
    let memories = this.#memories.get(phase);
    if (memories === undefined) this.#memories.set(phase, (memories = new WeakMap()));
    let memory = memories.get(rules);
    if (memory === undefined) {
      const known = rules.every((rule) => this.release.rules[rule]!.manifest.stateless === true) && this.segmentEnd(rules, 0) === rules.length;
      memories.set(rules, (memory = known ? new HookMemory(this.#recall) : null));
    }
    return memory;
  }

  loadMessage(options: SandboxOptions, kernel: string): LoadMessage {
    const rules = this.release.rules.map(({ manifest, code }, index): LoadRule => ({
      name: manifest.name,
      code,
      context: this.contexts[index]!,
      secrets: secretsOf(manifest.name, manifest.secrets, options.secrets),
      services: manifest.services,
      stateless: this.#recall !== null && manifest.stateless === true,
    }));
    return {
      release: this.release.id,
      kernel,
      memoryBytes: options.limits.ruleMemoryBytes,
      crossingBytes: options.limits.crossingBytes,
      tellsReads: options.tellsReads ?? false,
      vars: options.vars,
      nowMs: this.#loadedMs,
      rules,
    };
  }
}

function secretsOf(rule: string, wanted: readonly string[], all: Readonly<Record<string, string>>): Record<string, string> {
  const secrets: Record<string, string> = {};
  for (const name of wanted) {
    const value = Object.hasOwn(all, name) ? all[name] : undefined;
    if (value === undefined) throw new GatewayError("RULE_THREW", `${rule} declares the secret ${JSON.stringify(name)}, which config does not name`);
    secrets[name] = value;
  }
  return secrets;
}
