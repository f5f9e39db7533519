/** Experiments in one worker: keys, what operators decided, who counts. Made when the first release with experiments is loaded. */
import { randomBytes } from "node:crypto";
import type { Clock } from "../../clock.ts";
import type { ResolvedConfig } from "../../config/resolved.ts";
import { type SealKeys, STICKY_COOKIE, StickyReader, VISITOR_COOKIE, VisitorReader } from "../../experiments/assign/assign.ts";
import type { Assignment, StickyEntry } from "../../experiments/assign/plan.ts";
import type { Counting } from "../../experiments/count/counting.ts";
import { LiveWatch, type LiveBoard, NOTHING_DECIDED } from "../../experiments/live/live.ts";
import type { Sandbox } from "../../sandbox/sandbox.ts";
import type { Store } from "../../store/store.ts";
import type { ConnectionFacts } from "../exchange.ts";
import type { GatewayInputs } from "../gateway-inputs.ts";
import type { ExperimentEntry, ExperimentTable } from "./table.ts";
import { type UserAgent, userAgentOf } from "./user-agents.ts";
import { DerivedPages } from "./derived-pages.ts";
import { FoundEdits } from "./page-effects.ts";

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

/** What a client's cookies and its User-Agent say. */
export interface KnownClient {
  readonly visitor: string | null;
  readonly entries: readonly StickyEntry[];
  readonly userAgent: UserAgent;
  /** What it was assigned last, where nothing else has a say. */
  before: AssignedBefore | null;
}

/** Holds for the same table, decisions of operators, and experiments. */
export interface AssignedBefore {
  readonly table: ExperimentTable;
  readonly liveVersion: number;
  readonly matched: readonly ExperimentEntry[];
  readonly assignments: readonly Assignment[];
}

interface LastClient extends KnownClient {
  readonly userAgentText: string | undefined;
  readonly visitorCookie: string | null;
  readonly stickyCookie: string | null;
}

export type VerifyToken = (call: {
  readonly token: string;
  readonly key?: string;
  readonly jwksUrl?: string;
  readonly issuer?: string | string[];
  readonly audience?: string | string[];
  readonly algorithms?: string[];
}) => Promise<Readonly<Record<string, unknown>> | null>;

/** `counts`: for visitors. `silent`: for whoever wants something explained. `control`: for rehearsals, whose requests have lost who asked. */
export type SeatMode = "counts" | "silent" | "control";

export class ExperimentSeat {
  readonly parts: SeatParts;
  readonly mode: SeatMode;
  #keys: SealKeys;
  #visitors: VisitorReader;
  #stickies: StickyReader;
  readonly pages: DerivedPages;
  readonly foundEdits = new FoundEdits();
  readonly #warned = new Set<string>();
  readonly #whenClosed: (() => void)[] = [];
  #last = new WeakMap<ConnectionFacts, LastClient>();
  readonly #watch: LiveWatch | null;
  #board: LiveBoard = NOTHING_DECIDED;

  constructor(parts: SeatParts, mode: SeatMode = "counts", pages: DerivedPages | null = null) {
    this.parts = parts;
    this.mode = mode;
    this.#keys = parts.keys;
    this.#visitors = new VisitorReader(parts.keys);
    this.#stickies = new StickyReader(parts.keys);
    this.pages = pages ?? new DerivedPages(Math.floor((parts.config.cache?.memoryBytes ?? 0) * DERIVED_SHARE));
    const { store, clock, warn } = parts;
    this.#watch = mode === "counts" ? new LiveWatch({ store, clock, warn, onChange: (board) => void (this.#board = board) }) : null;
  }

  /** The same, and nothing is counted. */
  silent(): ExperimentSeat {
    const seat = new ExperimentSeat({ ...this.parts, keys: this.#keys, counting: null, onExposure: () => undefined }, "silent", this.pages);
    seat.#board = this.#board;
    return seat;
  }
  /** Everybody sees control, and nothing is counted. */
  static control(parts: Pick<SeatParts, "config" | "clock" | "store">): ExperimentSeat {
    const nobody = { counting: null, sandbox: () => null, verifyToken: () => Promise.resolve(null), onExposure: () => undefined, warn: () => undefined };
    return new ExperimentSeat({ ...parts, ...nobody, keys: [randomBytes(32)] }, "control");
  }

  get keys(): SealKeys {
    return this.#keys;
  }
  /** What was sealed by the keys so far still opens. */
  useKeys(keys: SealKeys): void {
    this.#keys = [...keys, ...this.#keys];
    this.#visitors = new VisitorReader(this.#keys);
    this.#stickies = new StickyReader(this.#keys);
    this.#last = new WeakMap();
  }

  /** A browser says the same over and over on its connections: comparing takes a tenth of looking up. */
  clientOf(connection: ConnectionFacts, inputs: GatewayInputs, userAgentText: string | undefined): KnownClient {
    const visitorCookie = inputs.cookie(VISITOR_COOKIE);
    const stickyCookie = inputs.cookie(STICKY_COOKIE);
    const last = this.#last.get(connection);
    if (last !== undefined && last.visitorCookie === visitorCookie && last.stickyCookie === stickyCookie && last.userAgentText === userAgentText) return last;
    const visitor = this.#visitors.read(visitorCookie);
    const entries = stickyCookie === null ? NO_STICKY : this.#stickies.read(stickyCookie);
    const client: LastClient = {
      visitor,
      entries,
      userAgent: userAgentOf(userAgentText),
      before: null,
      visitorCookie: visitorCookie === null ? null : owned(visitorCookie),
      stickyCookie: stickyCookie === null ? null : owned(stickyCookie),
      userAgentText: userAgentText === undefined ? undefined : owned(userAgentText),
    };
    this.#last.set(connection, client);
    return client;
  }

  get board(): LiveBoard {
    return this.#board;
  }
  /** What operators decided so far is known, or the store does not say. */
  async ready(): Promise<void> {
    await this.#watch?.ready;
  }

  /** One line for each experiment: the same would be said of every request. */
  warnOnce(experiment: string, text: string): void {
    if (this.#warned.has(experiment)) return;
    this.#warned.add(experiment);
    this.parts.warn(text);
  }

  newVisitor(): Buffer {
    return randomBytes(16);
  }

  /** The id in a genuine visitor cookie, or null. */
  visitorOf(inputs: { cookie(name: string): string | null }): string | null {
    return this.#visitors.read(inputs.cookie(VISITOR_COOKIE));
  }

  whenClosed(run: () => void): void {
    this.#whenClosed.push(run);
  }
  async close(): Promise<void> {
    for (const run of this.#whenClosed.splice(0)) run();
    this.#watch?.close();
    await this.parts.counting?.close();
  }
}

const NO_STICKY: readonly StickyEntry[] = Object.freeze([]);

/** A copy: what was cut out of a request head keeps all of it. */
function owned(text: string): string {
  return Buffer.from(text, "latin1").toString("latin1");
}

/** Of `cache.memory`, for edited forms of stored pages. */
const DERIVED_SHARE = 0.25;
