/** Experiments in one worker: keys, what operators decided, who counts. Made when the first release with experiments is loaded. */
import { randomBytes } from "node:crypto";
import type { Clock } from "../../clock.ts";
import type { ResolvedConfig } from "../../config/resolved.ts";
import { type SealKeys, StickyReader, VISITOR_COOKIE, VisitorReader } from "../../experiments/assign/assign.ts";
import type { Counting } from "../../experiments/count/counting.ts";
import { LiveWatch, type LiveBoard } from "../../experiments/live/live.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import type { Store } from "../../store/store.ts";
import { DerivedPages } from "./derived-pages.ts";

export interface SeatParts {
  readonly config: ResolvedConfig;
  readonly clock: Clock;
  readonly store: Store;
  readonly keys: SealKeys;
  /** null: nothing is counted. */
  readonly counting: Counting | null;
  /** Claims of a verified token; null: it is none. */
  readonly verifyToken: VerifyToken;
  readonly sandbox: () => Sandbox | null;
  /** A unit was exposed, for the metrics. */
  readonly onExposure: (experiment: string, variant: string) => void;
  readonly warn: (text: string) => void;
}

export type VerifyToken = (call: {
  readonly token: string;
  readonly key?: string;
  readonly jwksUrl?: string;
  readonly issuer?: string | string[];
  readonly audience?: string | string[];
  readonly algorithms?: string[];
}) => Promise<Readonly<Record<string, unknown>> | null>;

export class ExperimentSeat {
  readonly parts: SeatParts;
  readonly visitors: VisitorReader;
  readonly stickies: StickyReader;
  readonly pages: DerivedPages;
  readonly #watch: LiveWatch;
  board: LiveBoard;

  constructor(parts: SeatParts) {
    this.parts = parts;
    this.visitors = new VisitorReader(parts.keys);
    this.stickies = new StickyReader(parts.keys);
    this.pages = new DerivedPages(Math.floor((parts.config.cache?.memoryBytes ?? 0) * DERIVED_SHARE));
    this.#watch = new LiveWatch({ store: parts.store, clock: parts.clock, warn: parts.warn, onChange: (board) => void (this.board = board) });
    this.board = this.#watch.board;
  }

  /** What operators decided so far is known, or the store does not say. */
  get ready(): Promise<void> {
    return this.#watch.ready;
  }

  newVisitor(): Buffer {
    return randomBytes(16);
  }

  /** The id in a genuine visitor cookie, or null. */
  visitorOf(inputs: { cookie(name: string): string | null }): string | null {
    return this.visitors.read(inputs.cookie(VISITOR_COOKIE));
  }

  async close(): Promise<void> {
    this.#watch.close();
    await this.parts.counting?.close();
  }
}

/** Of `cache.memory`, for edited forms of stored pages. */
const DERIVED_SHARE = 0.25;
