/** Requests with a signed debug header: their answers tell where the time went, and what rules changed is kept for `sluice tail --trace`. */
import type { Assignment } from "../experiments/assign/plan.ts";
import type { Observer } from "../observe/observe.ts";
import type { Trace, TracedEffect } from "../sandbox/trace.ts";
import { isDebugToken } from "../security/debug-token.ts";
import type { Fields } from "./fields.ts";
import type { Life } from "./life.ts";

export function debugTraces(key: string, observer: Observer): (life: Life, token: string) => Trace | null {
  return (life, token) => (token === "" || !isDebugToken(key, token, life.core.clock.unixMs()) ? null : new DebugTrace(life, observer));
}

class DebugTrace implements Trace {
  readonly #life: Life;
  readonly #observer: Observer;

  constructor(life: Life, observer: Observer) {
    this.#life = life;
    this.#observer = observer;
    observer.traced?.(life.id);
  }
  effect({ rule, phase, what, before, after, place }: TracedEffect): void {
    this.#observer.step?.({ id: this.#life.id, rule, phase, text: `${what}: ${before ?? "(none)"} → ${after ?? "(none)"}`, place });
  }
  variants(assignments: readonly Assignment[]): void {
    for (const { experiment, variant, reason } of assignments)
      this.#observer.step?.({ id: this.#life.id, rule: "", phase: "", text: `experiment ${experiment}: ${variant} (${reason})`, place: "" });
  }
  /** Server-Timing (W3C), in milliseconds. */
  answer(fields: Fields): void {
    const { core, exchange, ruleWallMs, upstreamMs, response, id } = this.#life;
    const totalMs = core.clock.now() - exchange.startedAtMs;
    const timing = [`total;dur=${ms(totalMs)}`, `rules;dur=${ms(ruleWallMs)}`];
    if (upstreamMs > 0) timing.push(`upstream;dur=${ms(upstreamMs)}`);
    if (response !== null) timing.push(`from;desc=${response.from}`);
    fields.append("server-timing", timing.join(", "));
    fields.set("sluice-trace", id);
  }
}

function ms(value: number): string {
  return value.toFixed(3);
}
