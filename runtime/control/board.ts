/** What stands in the store about rollouts, and how one gateway says how far it is. */
import type { Store } from "../store/store.ts";
import { headOf, splitOnce, type Head } from "./release-shelf.ts";
import { KEYS, REPORT, VOTE, VOTES } from "./scripts/scripts.ts";

/** A rollout that every gateway is asked about. */
export interface Proposal {
  readonly number: number;
  readonly expiresUnixMs: number;
  readonly release: string;
  readonly digest: string;
  /** The epoch that it is based on. */
  readonly base: number;
  readonly kind: "deploy" | "rollback" | "canary";
  /** Only asked whether they could. */
  readonly dryRun: boolean;
  readonly by: string;
  readonly message: string;
}

/** `"behind"`: it serves another release than it is to, and `reason` says why. */
export type GatewayRolloutState = "starting" | "serving" | "preparing" | "prepared" | "activating" | "behind";

/** What a gateway says of itself. */
export interface GatewayReport {
  readonly epoch: number;
  readonly release: string;
  /** What runs beside it, and the share of the clients that it takes, in ten-thousandths. Left out or null: nothing. */
  readonly canary?: { readonly release: string; readonly share: number } | null;
  readonly state: GatewayRolloutState;
  readonly reason: string;
  readonly host: string;
  readonly pid: number;
  readonly version: string;
  readonly startedUnixMs: number;
}

export interface SeenGateway extends GatewayReport {
  readonly name: string;
  /** It has said so lately. */
  readonly live: boolean;
  /** Since it said so last. */
  readonly silentMs: number;
}

export interface Seen {
  /** By the store's clock; 0: it was not asked yet. */
  readonly nowUnixMs: number;
  readonly head: Head | null;
  readonly proposal: Proposal | null;
  readonly gateways: readonly SeenGateway[];
}

export type Vote = "PREPARED" | `REJECTED ${string}`;

export const TOPIC = "control";
/** Without news a gateway looks this often. */
export const BEAT_MS = 1000;
const LIFE_MS = 4000;
/** One that is away stays in the table, by name, for this long. */
const REMEMBERED_MS = 3_600_000;

export class Board {
  readonly #store: () => Store;
  constructor(store: () => Store) {
    this.#store = store;
  }

  /** Says how far `name` is, and what stands. `report` null: to be told only. */
  async look(name: string, report: GatewayReport | null): Promise<Seen> {
    const said = report === null ? ["", "", 0] : [name, JSON.stringify(report), LIFE_MS];
    return this.#told(said as [string, string, number]);
  }

  async leave(name: string): Promise<void> {
    await this.#told([name, "", 0]);
  }

  async #told(said: readonly [string, string, number]): Promise<Seen> {
    const [now, head, proposal, ...pairs] = await this.#store().run(REPORT, [KEYS.head, KEYS.proposal, KEYS.gateways], [...said, REMEMBERED_MS]);
    const gateways: SeenGateway[] = [];
    for (let i = 0; i + 1 < pairs.length; i += 2) {
      const [expires, json] = splitOnce(String(pairs[i + 1]));
      const leftMs = Number(expires) - Number(now);
      gateways.push({ ...(JSON.parse(json) as GatewayReport), name: String(pairs[i]), live: leftMs > 0, silentMs: Math.max(0, LIFE_MS - leftMs) });
    }
    gateways.sort((a, b) => (a.name < b.name ? -1 : 1));
    return { nowUnixMs: Number(now), head: headOf(String(head)), proposal: proposalOf(String(proposal)), gateways };
  }

  async vote(number: number, gateway: string, vote: Vote): Promise<boolean> {
    const [counted] = await this.#store().run(VOTE, [KEYS.proposal, KEYS.votes], [number, gateway, vote]);
    return counted === 1;
  }

  async votes(): Promise<Map<string, Vote>> {
    const pairs = await this.#store().run(VOTES, [KEYS.votes], []);
    const votes = new Map<string, Vote>();
    for (let i = 0; i + 1 < pairs.length; i += 2) votes.set(String(pairs[i]), String(pairs[i + 1]) as Vote);
    return votes;
  }
}

/** Null: none stands. */
export function proposalOf(line: string): Proposal | null {
  if (line === "") return null;
  const [number, rest] = splitOnce(line);
  const [expires, json] = splitOnce(rest);
  return { ...(JSON.parse(json) as Omit<Proposal, "number" | "expiresUnixMs">), number: Number(number), expiresUnixMs: Number(expires) };
}
