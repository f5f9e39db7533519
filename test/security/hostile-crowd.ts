/** Visitors of the healthy rules, and a watch over the sandboxes' memory, while somebody else misbehaves. */
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import { type HostileGateway, RULE_MEMORY_BYTES } from "./hostile-gateway.ts";

const KINDS = ["at-once", "waits", "secret"] as const;
/** What a sandbox may hold above its rules' bound. */
const ABOVE_BOUND_BYTES = 192 * 1024 * 1024;
const LOOK_EVERY_MS = 5;

export class Crowd {
  readonly #gateway: HostileGateway;
  readonly #agent = new http.Agent({ keepAlive: true });
  readonly #failures: string[] = [];
  readonly #rounds = KINDS.map(() => 0);
  readonly #answers = new EventEmitter();
  readonly #visits: Promise<void>[];
  readonly #watch: NodeJS.Timeout;
  #peakBytes = 0;
  readonly #leave = new AbortController();

  /** Resolves when each visitor has been answered once. */
  static async gather(gateway: HostileGateway): Promise<Crowd> {
    const crowd = new Crowd(gateway);
    await crowd.#everyoneAnswered();
    return crowd;
  }

  private constructor(gateway: HostileGateway) {
    this.#gateway = gateway;
    this.#watch = setInterval(() => this.#look(), LOOK_EVERY_MS);
    this.#visits = KINDS.map((kind, index) => this.#visit(kind, index));
  }

  /** Ends when each visitor has been answered once more, and says how it went. */
  async disperse(): Promise<void> {
    await this.#everyoneAnswered();
    this.#leave.abort();
    await Promise.all(this.#visits);
    clearInterval(this.#watch);
    this.#agent.destroy();
    assert.deepEqual(this.#failures, [], "visitors of healthy rules");
    const boundBytes = RULE_MEMORY_BYTES + ABOVE_BOUND_BYTES;
    assert.ok(this.#peakBytes <= boundBytes, `a sandbox held ${this.#peakBytes} bytes, ${boundBytes} are allowed`);
    for (const { event, rule } of this.#gateway.told) assert.ok(event !== "quarantined" || !rule.startsWith("healthy"), `${rule} is innocent`);
  }

  async #visit(kind: string, index: number): Promise<void> {
    for (let n = 1; !this.#leave.signal.aborted; n++) {
      try {
        const { status, code, headers, text } = await this.#gateway.ask(`/healthy/${kind}/${n}`, {}, this.#agent);
        const twice = status === 200 ? (JSON.parse(text) as Record<string, string>)["x-twice"] : "";
        if (status !== 200 || twice !== String(2 * n) || headers["x-thrice"] !== String(3 * n))
          this.#failures.push(`${kind} ${n}: ${status} ${code} ${twice} ${String(headers["x-thrice"])}`);
      } catch (thrown) {
        this.#failures.push(`${kind} ${n}: ${String(thrown)}`);
      }
      this.#rounds[index]!++;
      this.#answers.emit("round");
      // Visitors leave the processor to others: what is tested is that they are answered, not how many are.
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  async #everyoneAnswered(): Promise<void> {
    const before = [...this.#rounds];
    // Two: the one under way may have begun before.
    while (this.#rounds.some((rounds, index) => rounds < before[index]! + 2)) await once(this.#answers, "round");
  }

  #look(): void {
    for (const pid of sandboxPids()) this.#peakBytes = Math.max(this.#peakBytes, peakBytesOf(pid));
  }
}

/** Sandboxes of this process, those that are starting too. */
function sandboxPids(): string[] {
  return fs.readFileSync(`/proc/${process.pid}/task/${process.pid}/children`, "latin1").trim().split(" ").filter(Boolean);
}

/** The most that was ever resident: nothing is missed between two looks but the very end. */
function peakBytesOf(pid: string): number {
  try {
    return Number(/^VmHWM:\s+(\d+) kB/m.exec(fs.readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0) * 1024;
  } catch {
    // It has just ended.
    return 0;
  }
}
