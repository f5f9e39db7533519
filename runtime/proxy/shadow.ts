/**
 * A shadow release: it plays live requests after they were answered, in sandbox processes of its own, and what it decides is only held against what the
 * running release decided. Nobody waits for it: what it has no time for is dropped and counted. It asks no origin, fills no cache, and makes no call that
 * anybody outside could notice.
 */
import os from "node:os";
import type { Clock } from "../clock.ts";
import type { Release, SourceMaps } from "../compile/release.ts";
import type { ResolvedConfig } from "../config/resolved.ts";
import { DRAWS, draw } from "../observe/draw.ts";
import type { Service, ServiceCall } from "../sandbox/sandbox.ts";
import type { Countries } from "./countries.ts";
import { ANSWERED_BY, type DecidedBy, type DecisionDifference, type Decisions, differencesOf, failureKind } from "./decisions.ts";
import { Rehearsal, type Rehearsed, type Scene } from "./rehearsal.ts";
import { ShadowQueue } from "./shadow-queue.ts";
import { replyText, type ShadowExample, type ShadowStatus } from "./shadow-status.ts";
import type { Witness } from "./witness.ts";

export interface ShadowOrder {
  /** Of this shadow alone, also when the same release is tried again. */
  readonly tag: string;
  readonly release: Release;
  readonly maps: SourceMaps;
  readonly config: ResolvedConfig;
  /** Of the exchanges of the running release, 0 – 1; drawn by their request id. */
  readonly share: number;
}

export interface ShadowParts {
  readonly kernel: string;
  readonly clock: Clock;
  readonly countries: Countries | null;
  /** Those of the running release. */
  readonly services: Readonly<Record<string, Service>>;
  readonly warn: (text: string) => void;
}

const AT_ONCE = 4;
const MAX_EXAMPLES = 5;
/** Kinds of differences that are counted apart. */
const MAX_KINDS = 50;
const MESSAGE_UNITS = 500;
const NICE = 10;

interface Waiting {
  readonly against: string;
  readonly scene: Scene;
  readonly decided: Decisions;
  readonly by: DecidedBy;
}

export class Shadow {
  readonly tag: string;
  readonly #order: ShadowOrder;
  readonly #parts: ShadowParts;
  readonly #rehearsal: Rehearsal;
  readonly #limit: number;
  readonly #waiting = new ShadowQueue<Waiting>();
  readonly #counts = { equal: 0, different: 0, failed: 0, notCompared: 0, dropped: 0 };
  readonly #kinds = new Map<string, number>();
  readonly #examples: ShadowExample[] = [];
  readonly #niced = new Set<number>();
  /** The release that it is compared with: when another one serves, counting begins anew. */
  #against = "";
  #playing = 0;
  #closed = false;

  private constructor(order: ShadowOrder, parts: ShadowParts, rehearsal: Rehearsal) {
    this.tag = order.tag;
    this.#order = order;
    this.#parts = parts;
    this.#rehearsal = rehearsal;
    this.#limit = order.share * DRAWS;
  }

  /** Rejects with the reason when the release does not load. */
  static async open(order: ShadowOrder, parts: ShadowParts): Promise<Shadow> {
    const { release, maps, config } = order;
    const rehearsal = await Rehearsal.open({
      release,
      maps,
      config,
      kernel: parts.kernel,
      clock: parts.clock,
      countries: parts.countries,
      partition: `shadow ${release.id} `,
    });
    const shadow = new Shadow(order, parts, rehearsal);
    shadow.#stepBack();
    return shadow;
  }

  /** What would only be dropped at its end is not watched. */
  wants(id: string): boolean {
    if (draw(`shadow ${id}`) >= this.#limit) return false;
    if (!this.#waiting.full) return true;
    this.#counts.dropped++;
    return false;
  }

  take(witness: Witness): void {
    if (this.#closed || !witness.seen || !witness.settled || witness.life.exchange.upgradeProtocol !== "") return;
    const against = witness.life.table.releaseId;
    if (against !== this.#against) this.#beginAgainst(against);
    const { rule } = witness.life;
    const by: DecidedBy = new Map(rule === "" ? [] : [[ANSWERED_BY, { rule, place: "" }]]);
    if (!this.#waiting.add({ against, scene: this.#sceneOf(witness), decided: witness.decisions, by }, witness.callUnits)) {
      this.#counts.dropped++;
      return;
    }
    // Behind whatever this turn of the event loop still has to do for clients.
    if (this.#playing < AT_ONCE) setImmediate(() => this.#next());
  }

  #beginAgainst(release: string): void {
    this.#against = release;
    this.#waiting.clear();
    Object.assign(this.#counts, { equal: 0, different: 0, failed: 0, notCompared: 0, dropped: 0 });
    this.#kinds.clear();
    this.#examples.length = 0;
  }

  status(): ShadowStatus {
    this.#stepBack();
    const { equal, different, failed, notCompared, dropped } = this.#counts;
    return {
      tag: this.tag,
      release: this.#order.release.id,
      against: this.#against,
      share: this.#order.share,
      compared: equal + different + failed,
      equal,
      different,
      failed,
      notCompared,
      dropped,
      kinds: [...this.#kinds].map(([kind, exchanges]) => ({ kind, exchanges })),
      examples: this.#examples,
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#waiting.clear();
    await this.#rehearsal.close();
  }

  #next(): void {
    while (this.#playing < AT_ONCE && !this.#closed) {
      const waiting = this.#waiting.next();
      if (waiting === undefined) return;
      // A trusted client may send the same id again while the first is played.
      if (this.#rehearsal.isPlaying(waiting.scene.id)) {
        this.#counts.dropped++;
        continue;
      }
      this.#playing++;
      this.#rehearsal
        .play(waiting.scene)
        .then((rehearsed) => {
          if (!this.#closed && waiting.against === this.#against) this.#judge(waiting, rehearsed);
        })
        .catch((thrown: unknown) => {
          this.#counts.dropped++;
          this.#parts.warn(`a shadow could not be played: ${String(thrown)}`);
        })
        .finally(() => {
          this.#playing--;
          this.#next();
        });
    }
  }

  #judge({ scene, decided, by }: Waiting, { decisions, by: now, failures, unanswered, finished }: Rehearsed): void {
    const counts = this.#counts;
    const [failure] = failures;
    if (unanswered.length > 0) {
      counts.notCompared++;
      for (const call of new Set(unanswered)) this.#kind(`not compared: ${call}`);
    } else if (failure !== undefined || !finished) {
      counts.failed++;
      const { rule = "", place = "", message = "it did not come to an end in time" } = failure ?? {};
      this.#kind(`failed: ${rule} ${failureKind(message)}${place === "" ? "" : ` (${place})`}`);
      this.#example(scene, { kind: "failed", rule, place, what: [message.slice(0, MESSAGE_UNITS)] });
    } else {
      const differences = differencesOf(decided, decisions, { before: by, after: now });
      if (differences.length === 0) {
        counts.equal++;
        return;
      }
      counts.different++;
      for (const { what, rule, place } of differences) this.#kind(`${what}${rule === "" ? "" : ` (${rule}${place === "" ? "" : ` ${place}`})`}`);
      const { rule, place } = differences[0]!;
      this.#example(scene, { kind: "different", rule, place, what: differences.map(toldOf) });
    }
  }

  #kind(kind: string): void {
    const known = this.#kinds.get(kind);
    if (known !== undefined || this.#kinds.size < MAX_KINDS) this.#kinds.set(kind, (known ?? 0) + 1);
  }

  /** The first few of each kind, no two alike. */
  #example({ received: { method, target } }: Scene, example: Omit<ShadowExample, "method" | "path">): void {
    const path = pathOf(target);
    const same = this.#examples.filter(({ kind }) => kind === example.kind);
    const known = same.some((one) => one.method === method && one.path === path && one.what.join() === example.what.join());
    if (!known && same.length < MAX_EXAMPLES) this.#examples.push({ method, path, ...example });
  }

  #sceneOf({ life, received, startUnixMs, draws, variants, origin, cached, calls }: Witness): Scene {
    const left = [...calls];
    return {
      id: life.id,
      received,
      startUnixMs,
      draws,
      variants,
      origin,
      cached,
      word: (name, { args }) => {
        const { op } = (args ?? {}) as { op?: unknown };
        return `${name}${typeof op === "string" ? `.${op}` : ""}`;
      },
      reply: (name, call) => {
        const asked = replyText(name, call.args);
        const same = left.findIndex(({ service, args, reply }) => reply !== null && replyText(service, args) === asked);
        // The last of its kind stays: whoever asks once more is told the same.
        const twin = same >= 0 ? left.splice(same, 1)[0] : calls.find(({ service, args, reply }) => reply !== null && replyText(service, args) === asked);
        if (twin?.reply) return twin.reply.ok ? Promise.resolve(twin.reply.value) : Promise.reject(twin.reply.error);
        return this.#harmless(name, call, received.hasBody);
      },
    };
  }

  /** What nobody outside notices is done. Null: it is not. */
  #harmless(name: string, call: ServiceCall, hasBody: boolean): Promise<unknown> | null {
    const args = (call.args ?? {}) as { op?: unknown; jwksUrl?: unknown };
    const real = (): Promise<unknown> => this.#parts.services[name]!(call);
    switch (name) {
      case "requestBody":
        return hasBody ? null : Promise.resolve({ bytes: "" });
      case "kv":
      case "cache":
        return args.op === "get" ? real() : null;
      case "jwt":
        return args.jwksUrl === undefined || args.jwksUrl === null ? real() : null;
      case "hmac":
        return hasBody ? null : real();
      default:
        return null;
    }
  }

  /** Its processes give way to those of live requests. */
  #stepBack(): void {
    const { activePid = 0, sparePid = 0 } = this.#rehearsal.sandbox?.status() ?? {};
    for (const pid of [activePid, sparePid]) {
      if (pid === 0 || this.#niced.has(pid)) continue;
      this.#niced.add(pid);
      try {
        os.setPriority(pid, NICE);
      } catch (thrown) {
        // It has ended meanwhile, or the system does not let us: it then runs like any other.
        if ((thrown as { info?: { code?: string } }).info?.code !== "ESRCH") this.#parts.warn(`a shadow's sandbox runs at full priority: ${String(thrown)}`);
      }
    }
  }
}

/** Values that live requests were answered with are theirs; what is not personal is told. */
const TOLD: ReadonlySet<string> = new Set(["status", ANSWERED_BY, "upstream", "method"]);

function toldOf({ what, before, after }: DecisionDifference): string {
  return TOLD.has(what) ? `${what}: ${before ?? "(none)"} → ${after ?? "(none)"}` : what;
}

function pathOf(target: string): string {
  const mark = target.indexOf("?");
  return mark < 0 ? target : target.slice(0, mark);
}
