/**
 * Shadow releases: which one the gateways play beside what serves, as it stands in the store; one gateway's part in it; and `/v1/shadow`. Nothing is
 * activated, so nobody votes: a gateway that cannot play it says so and serves on.
 */
import { randomBytes } from "node:crypto";
import { z } from "zod";
import type { Clock, Timer } from "../clock.ts";
import { asGatewayError } from "../errors.ts";
import type { ShadowStatus } from "../proxy/shadow-status.ts";
import type { Store } from "../store/store.ts";
import type { AuditFacts } from "./audit.ts";
import { type AdminCode, type Endpoint, failure, json } from "./answers.ts";
import { atDesk } from "./desk.ts";
import { PackageError } from "./release-package.ts";
import type { ReleaseShelf, Taken } from "./release-shelf.ts";
import { REPLACE_SHADOW } from "./scripts/scripts.ts";

export interface ShadowTerms {
  /** Of this shadow alone. */
  readonly tag: string;
  readonly release: string;
  readonly digest: string;
  readonly share: number;
  readonly by: string;
  readonly atUnixMs: number;
  /** Of what served where it began. Left out: none. */
  readonly epoch?: number;
}

/** `"awaited"`: this gateway has not said anything about it yet. */
export type ShadowState = "awaited" | "loading" | "comparing" | "refused";

export interface ShadowReport {
  readonly tag: string;
  readonly state: ShadowState;
  readonly reason: string;
  /** Of all workers together; null: none has compared anything. */
  readonly compared: ShadowStatus | null;
}

export interface SeenShadow {
  readonly terms: ShadowTerms | null;
  readonly gateways: readonly (ShadowReport & { readonly gateway: string })[];
}

export interface ShadowParts {
  /** This gateway's name. */
  readonly gateway: string;
  readonly store: Store;
  readonly shelf: ReleaseShelf;
  readonly clock: Clock;
  /** Names of the gateways that live. */
  readonly gateways: () => readonly string[];
  /** What serves here … */
  readonly serving: () => string;
  /** … and since which epoch; 0: it was never deployed. */
  readonly epoch: () => number;
  readonly seat: ShadowSeat;
  readonly audit: (facts: AuditFacts) => void;
  readonly log: (level: "info" | "warn" | "error", event: string, facts: Readonly<Record<string, unknown>>) => void;
}

/** The process tree. */
export interface ShadowSeat {
  /** On every worker that serves, and on those to come; null: on none. Rejects with the reason. */
  play(tag: string, share: number, taken: Taken | null): Promise<void>;
  /** Of all workers together. */
  compared(): ShadowStatus | null;
}

const KEY = "control:shadow";
/** In its place when it has ended: terms without a tag. */
const ENDED = '{"tag":""}';
const LOOK_MS = 1_000;
/** A gateway's word counts this long. */
const REPORT_MS = 15_000;
const REFUSALS: Readonly<Record<number, readonly AdminCode[]>> = { 503: ["STORE_AWAY", "NOT_READY"] };

export class Shadowing {
  readonly #parts: ShadowParts;
  #report: ShadowReport = NOTHING;
  #seen: SeenShadow = { terms: null, gateways: [] };
  #timer: Timer | null = null;
  #looking: Promise<void> | null = null;
  #troubled = false;
  #closed = false;

  constructor(parts: ShadowParts) {
    this.#parts = parts;
    this.#lookLater();
  }

  /** As the store told it last. */
  get seen(): SeenShadow {
    return this.#seen;
  }

  async begin(id: string, share: number, by: string): Promise<ShadowTerms | "unknown" | "serving"> {
    const { shelf, store, clock, audit, serving, epoch } = this.#parts;
    if (serving() === id) return "serving";
    const taken = await shelf.take(id);
    if (taken === null) return "unknown";
    const { digest } = taken.release;
    const terms: ShadowTerms = { tag: randomBytes(6).toString("hex"), release: id, digest, share, by, atUnixMs: clock.unixMs(), epoch: epoch() };
    await store.set(KEY, JSON.stringify(terms), { ttlMs: null, durable: true });
    audit({ actor: by, action: "shadow", outcome: "done", reason: "", facts: { release: id, share } });
    await this.#lookAnew();
    return terms;
  }

  /** False: there was none. */
  async end(by: string): Promise<boolean> {
    const terms = await this.#standing();
    const there = terms !== null && (await this.#forget(terms, by, ""));
    await this.#lookAnew();
    return there;
  }

  /** False: somebody has ended it, or put another one in its place, which stays. */
  async #forget({ tag, release }: ShadowTerms, by: string, reason: string): Promise<boolean> {
    const { store, audit } = this.#parts;
    const [ended] = await store.run(REPLACE_SHADOW, [KEY], [`{"tag":${JSON.stringify(tag)}`, ENDED]);
    if (ended === 1) audit({ actor: by, action: "shadow off", outcome: "done", reason, facts: { release } });
    return ended === 1;
  }

  /** Null: none, or it has ended. */
  async #standing(): Promise<ShadowTerms | null> {
    const { store, log } = this.#parts;
    const bytes = await store.get(KEY);
    const known = this.#seen.terms;
    if (bytes === null && known !== null) {
      // An end stands there as such: the store was emptied, or is an old copy. Whoever is quicker gives it back.
      const [restored] = await store.run(REPLACE_SHADOW, [KEY], ["", JSON.stringify(known)]);
      if (restored === 1) log("warn", "shadow-restored", { release: known.release });
      return known;
    }
    const terms = bytes === null ? null : (JSON.parse(bytes.toString()) as ShadowTerms);
    return terms === null || terms.tag === "" ? null : terms;
  }

  /** What is under way may have looked before something changed. */
  async #lookAnew(): Promise<void> {
    await this.#looking;
    await this.look();
  }

  /** What stands in the store, and what follows from it here. */
  look(): Promise<void> {
    this.#looking ??= this.#look()
      .then(() => void (this.#troubled = false))
      .catch((thrown: unknown) => {
        // It goes on with what it knows; the store's own health tells of its trouble.
        if (!this.#troubled) this.#parts.log("warn", "shadow-store", { reason: asGatewayError(thrown).detail });
        this.#troubled = true;
      })
      .finally(() => (this.#looking = null));
    return this.#looking;
  }

  close(): void {
    this.#closed = true;
    this.#timer?.cancel();
  }

  #lookLater(): void {
    this.#timer = this.#parts.clock.after(LOOK_MS, () => {
      if (this.#closed) return;
      void this.look();
      this.#lookLater();
    });
  }

  async #look(): Promise<void> {
    const { serving, epoch } = this.#parts;
    const terms = await this.#standing();
    const isPlayed = terms !== null && terms.release !== serving();
    // It serves because everybody has it by now, or still: then this gateway lags behind those that compare it with what came after.
    if (terms !== null && !isPlayed && epoch() >= (terms.epoch ?? 0)) {
      await this.#forget(terms, "gateway", "it serves now");
      await this.#follow(null);
      return;
    }
    await this.#follow(isPlayed ? terms : null);
    this.#seen = { terms, gateways: terms === null ? [] : await this.#told(terms) };
  }

  async #follow(terms: ShadowTerms | null): Promise<void> {
    const { seat, log } = this.#parts;
    if (terms === null) {
      if (this.#report !== NOTHING) {
        await seat.play("", 0, null);
        log("info", "shadow-ended", {});
      }
      this.#report = NOTHING;
      this.#seen = { terms: null, gateways: [] };
      return;
    }
    if (this.#report.tag === terms.tag) return;
    this.#report = { tag: terms.tag, state: "loading", reason: "", compared: null };
    try {
      await seat.play(terms.tag, terms.share, await this.#take(terms));
      this.#report = { ...this.#report, state: "comparing" };
      log("info", "shadow-comparing", { release: terms.release, share: terms.share });
    } catch (thrown) {
      const reason = thrown instanceof Error ? thrown.message : String(thrown);
      this.#report = { ...this.#report, state: "refused", reason };
      await seat.play("", 0, null);
      log("warn", "shadow-refused", { release: terms.release, reason });
    }
  }

  async #take({ release, digest }: ShadowTerms): Promise<Taken> {
    const taken = await this.#parts.shelf.take(release);
    if (taken === null) throw new PackageError("it is not in the store");
    if (taken.release.digest !== digest) throw new PackageError("the store has another content under its id");
    return taken;
  }

  /** Says how far this gateway is, and hears the others. */
  async #told(terms: ShadowTerms): Promise<SeenShadow["gateways"]> {
    const { store, gateway, gateways, seat } = this.#parts;
    const compared = seat.compared();
    const own = { ...this.#report, compared: compared?.tag === terms.tag ? compared : null };
    await store.set(reportKey(gateway), JSON.stringify(own), { ttlMs: REPORT_MS });
    const names = [...new Set([gateway, ...gateways()])].sort();
    const words = await store.getMany(names.map(reportKey));
    return names.map((name, i) => {
      const report = words[i] ? (JSON.parse(words[i].toString()) as ShadowReport) : null;
      const { state, reason, compared } = report?.tag === terms.tag ? report : NOTHING;
      return { gateway: name, tag: terms.tag, state, reason, compared };
    });
  }
}

const NOTHING: ShadowReport = Object.freeze({ tag: "", state: "awaited", reason: "", compared: null });

function reportKey(gateway: string): string {
  return `control:shadowed:${gateway}`;
}

const Order = z.strictObject({
  release: z.string().regex(/^[0-9a-f]{12}$/, "a release id of 12 hex digits"),
  share: z.number().positive().max(1).optional().describe("of the exchanges of the running release; 0.1 by default"),
});
const Shape = z.strictObject({ terms: z.looseObject({ release: z.string(), share: z.number() }).nullable(), gateways: z.array(z.unknown()) });
const DEFAULT_SHARE = 0.1;

/** Null: this gateway takes no releases (`sluice dev`), or is still starting. */
export function shadowEndpoints(shadowing: () => Shadowing | null): Endpoint[] {
  const at = atDesk(shadowing);
  return [
    {
      path: "/v1/shadow",
      method: "GET",
      role: "read",
      about: "The release that is only compared with the one that serves, and what came of it on every gateway.",
      answers: { 200: Shape },
      refusals: REFUSALS,
      answer: at(async (_asked, open) => {
        await open.look();
        return json(200, open.seen);
      }),
    },
    {
      path: "/v1/shadow",
      method: "POST",
      role: "activate",
      about: "Lets every gateway play a share of the live requests to a release whose effects are only compared.",
      asks: Order,
      answers: { 200: Shape },
      refusals: { ...REFUSALS, 404: ["RELEASE_UNKNOWN"], 409: ["SHADOW_REFUSED"], 422: ["RELEASE_REFUSED"] },
      answer: at(async ({ body, actor }, open) => {
        const { release, share = DEFAULT_SHARE } = body as z.infer<typeof Order>;
        const begun = await open.begin(release, share, actor);
        if (begun === "serving")
          return failure(409, {
            code: "SHADOW_REFUSED",
            found: `${release}, which serves already`,
            expected: "a change in rules or config, to compare with what serves",
          });
        if (begun === "unknown") return failure(404, { code: "RELEASE_UNKNOWN", found: release, expected: "the id of a release that GET /v1/releases lists" });
        return json(200, open.seen);
      }),
    },
    {
      path: "/v1/shadow/off",
      method: "POST",
      role: "activate",
      about: "Ends the comparison.",
      answers: { 200: z.strictObject({ ended: z.boolean() }) },
      refusals: REFUSALS,
      answer: at(async ({ actor }, open) => json(200, { ended: await open.end(actor) })),
    },
  ];
}
