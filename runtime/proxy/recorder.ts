/** Keeps a share of the exchanges for `sluice plan --replay`: what of each may be kept is decided here, at once, and nothing else is held. */
import type { Clock, Timer } from "../clock.ts";
import type { Release } from "../compile/release.ts";
import type { RecordConfig } from "../config/resolved.ts";
import { asGatewayError, GatewayError } from "../errors.ts";
import { DRAWS, draw } from "../observe/draw.ts";
import {
  callWord,
  createSanitizer,
  isKept,
  keptReply,
  LONGEST_UNITS,
  OwnNames,
  type Recording,
  type Recordings,
  roomFor,
  type Sanitizer,
} from "../observe/recordings/recordings.ts";
import { ANSWERED_BY, REQUEST_HEADER, RESPONSE_HEADER } from "./decisions.ts";
import type { Head, Witness } from "./witness.ts";

export interface RecorderParts {
  readonly config: RecordConfig;
  readonly recordings: Recordings;
  /** What values are digested with. */
  readonly key: string;
  readonly clock: Clock;
  readonly warn: (text: string) => void;
}

export interface RecorderStatus {
  readonly recorded: number;
  /** Above the rate, too long, or the store would not take them. */
  readonly dropped: number;
}

const PER_SECOND = 100;
const FLUSH_MS = 1_000;
/** About `ctx.random()`: the part of a seed that `crypto` is drawn from as well stays here. */
const RANDOM_DIGITS = 8;

export class Recorder {
  readonly #parts: RecorderParts;
  readonly #sanitizer: Sanitizer;
  readonly #headers: ReadonlySet<string>;
  readonly #limit: number;
  #lines: string[] = [];
  #flush: Timer | null = null;
  #second = 0;
  #inSecond = 0;
  #recorded = 0;
  #dropped = 0;
  #failing = false;

  constructor(parts: RecorderParts) {
    this.#parts = parts;
    this.#sanitizer = createSanitizer(parts.key);
    this.#headers = new Set(parts.config.headers);
    this.#limit = parts.config.share * DRAWS;
  }

  /** Beyond the rate nothing is watched in vain. */
  wants(id: string): boolean {
    if (draw(`record ${id}`) >= this.#limit) return false;
    const second = Math.floor(this.#parts.clock.now() / 1000);
    if (second !== this.#second) this.#inSecond = 0;
    this.#second = second;
    if (++this.#inSecond <= PER_SECOND) return true;
    this.#dropped++;
    return false;
  }

  take(witness: Witness): void {
    if (!witness.seen || !witness.settled || witness.life.exchange.upgradeProtocol !== "") return;
    const { clock } = this.#parts;
    const recording = recordingOf(witness, this.#sanitizer, this.#headers);
    const line = recording === null ? "" : JSON.stringify(recording);
    if (recording === null || line.length > LONGEST_UNITS) {
      this.#dropped++;
      return;
    }
    this.#lines.push(line);
    this.#flush ??= clock.after(FLUSH_MS, () => void this.#write());
  }

  status(): RecorderStatus {
    return { recorded: this.#recorded, dropped: this.#dropped };
  }

  async close(): Promise<void> {
    this.#flush?.cancel();
    await this.#write();
  }

  async #write(): Promise<void> {
    this.#flush = null;
    const lines = this.#lines;
    this.#lines = [];
    if (lines.length === 0) return;
    try {
      await this.#parts.recordings.append(lines);
      this.#recorded += lines.length;
      this.#failing = false;
    } catch (thrown) {
      this.#dropped += lines.length;
      // The store's own trouble is told by the store.
      if (!this.#failing) this.#parts.warn(`requests are not recorded: ${asGatewayError(thrown).detail}`);
      this.#failing = true;
    }
  }
}

/** Said beside. */
const SAID: ReadonlySet<string> = new Set(["status", ANSWERED_BY, "upstream"]);

type Rule = Release["rules"][number];

/** Gone with the release. */
const NAMES = new WeakMap<Rule, OwnNames>();
const NO_NAMES = new OwnNames("");

function namesOf(rule: Rule | undefined): OwnNames {
  if (rule === undefined) return NO_NAMES;
  let names = NAMES.get(rule);
  if (names === undefined) NAMES.set(rule, (names = new OwnNames(rule.code)));
  return names;
}

/** A rule may make a header's name of anything; one that stands in no code is not told. */
function ownName(what: string, rules: readonly Rule[]): string {
  const kind = [REQUEST_HEADER, RESPONSE_HEADER].find((prefix) => what.startsWith(prefix));
  if (kind === undefined) return what;
  const name = what.slice(kind.length);
  return rules.some((rule) => namesOf(rule).hasField(name)) ? what : `${kind}*`;
}

/** What services told. Null: it is more than a line holds. */
function callsOf({ calls }: Witness, rules: readonly Rule[], sanitizer: Sanitizer, headers: ReadonlySet<string>): Recording["calls"] | null {
  const room = roomFor(LONGEST_UNITS);
  const kept: Recording["calls"] = [];
  for (const { rule, service, args, reply } of calls) {
    if (reply === null || !isKept(service)) continue;
    const names = namesOf(rules.find(({ manifest }) => manifest.name === rule));
    const said = reply.ok ? keptReply(service, reply.value, names, { sanitizer, headers, room }) : { value: reply.error.code };
    if (room.units < 0) return null;
    // Left out: a replay that makes this call says that it is not compared.
    if (said !== null) kept.push({ rule, service, word: callWord(service, args, names.code), ok: reply.ok, value: said.value });
  }
  return kept;
}

/**
 * Exported for its tests: nothing that a client, an origin or a service said stands in it but what `record.headers` allows. Null: its line would be too
 * long, which was seen before all of it was made.
 */
export function recordingOf(witness: Witness, sanitizer: Sanitizer, headers: ReadonlySet<string>): Recording | null {
  const { received, life, origin, cached, decisions } = witness;
  const head = ({ status, fields }: Head): NonNullable<Recording["cached"]> => ({ status, headers: sanitizer.headers(fields, headers) });
  const rules = life.table.loaded?.release.rules ?? [];
  const calls = callsOf(witness, rules, sanitizer, headers);
  if (calls === null) return null;
  return {
    id: sanitizer.digest(life.id),
    atUnixMs: witness.startUnixMs,
    release: life.table.releaseId,
    method: received.method,
    scheme: life.client.scheme,
    host: received.authority,
    target: sanitizer.target(received.target),
    headers: sanitizer.headers(received.fields, headers),
    hasBody: received.hasBody,
    draws: witness.draws.map(({ phase, clockMs, seed }) => [phase, clockMs, seed.slice(0, RANDOM_DIGITS)]),
    variants: witness.variants,
    origin: origin === null ? null : origin instanceof GatewayError ? { code: origin.code } : head(origin),
    cached: cached === null ? null : head(cached),
    calls,
    decided: {
      status: Number(decisions.get("status")),
      answeredBy: decisions.get(ANSWERED_BY) ?? "",
      upstream: life.core.upstreams.has(life.upstream) ? life.upstream : "",
      changed: [...decisions.keys()].filter((what) => !SAID.has(what)).map((what) => ownName(what, rules)),
    },
  };
}
