/** A body on its way from the origin into the cache, given to every client that waits for it while it arrives. */
import { GatewayError } from "../errors.ts";
import type { BodySink, BodySource } from "../proxy/exchange.ts";
import type { Fields } from "../proxy/fields.ts";

/** Once a body turned out too large to be kept, this much is held for the slowest reader before the origin has to wait. */
const WINDOW_BYTES = 256 * 1024;

/** Called once. `body` is null when it broke off, grew too large, or found no room beside the other fills: then nothing may be stored. */
export type FillEnd = (body: Buffer | null, why: "complete" | "torn" | "too-large" | "crowded") => void;

/** What all fills of a worker may hold together. */
export interface FillBudget {
  leftBytes: number;
}

export class Fill implements BodySink {
  readonly length: number;
  readonly #source: BodySource;
  readonly #limitBytes: number;
  readonly #budget: FillBudget;
  readonly #onEnd: FillEnd;
  /** Of the budget. */
  #takenBytes = 0;
  readonly #readers = new Set<FillReader>();
  #pieces: Buffer[] = [];
  /** How many pieces were let go, and the offset of the first that is left. */
  #gone = 0;
  #startBytes = 0;
  #endBytes = 0;
  #trailers: Fields | null = null;
  #state: "flowing" | "complete" | "failed" = "flowing";
  #error: GatewayError | null = null;
  #overflowed = false;
  #sourcePaused = false;
  #told = false;

  /** `length` as the origin declared it, or -1. */
  constructor(source: BodySource, limitBytes: number, budget: FillBudget, onEnd: FillEnd) {
    this.#source = source;
    this.#budget = budget;
    this.length = source.length;
    this.#limitBytes = limitBytes;
    this.#onEnd = onEnd;
  }

  /** Begins to flow, once the first reader is there or nobody wants to be the first. */
  start(): void {
    this.#source.read(this);
  }
  /** From the first byte on; null when that is gone already, or all of it failed. `from` and `to` (exclusive) cut out a part. */
  attach(from = 0, to = Infinity): BodySource | null {
    if (this.#overflowed || this.#state === "failed") return null;
    const whole = from === 0 && to === Infinity;
    return new FillReader(this, from, to, whole ? this.length : to - from);
  }

  chunk(bytes: Buffer): boolean {
    if (this.#state !== "flowing") return true;
    // What is handed in may be a view of a buffer that is read into again.
    this.#pieces.push(ownCopy([bytes], bytes.length));
    this.#endBytes += bytes.length;
    if (!this.#overflowed) this.#take(bytes.length);
    for (const reader of this.#readers) reader.flow();
    return this.#goesOn();
  }
  end(trailers: Fields | null): void {
    if (this.#state !== "flowing") return;
    if (this.length >= 0 && this.#endBytes !== this.length) {
      this.error(new GatewayError("UPSTREAM_RESET", `a body ended after ${this.#endBytes} of ${this.length} bytes`));
      return;
    }
    this.#state = "complete";
    this.#trailers = trailers;
    if (!this.#overflowed) {
      this.#tell(this.#pieces.length === 1 ? this.#pieces[0]! : ownCopy(this.#pieces, this.#endBytes), "complete");
    }
    for (const reader of this.#readers) reader.flow();
    // Slow readers hold the pieces a while longer.
    if (this.#readers.size === 0) this.#giveBack();
  }
  error(error: GatewayError): void {
    if (this.#state !== "flowing") return;
    this.#state = "failed";
    this.#error = error;
    this.#tell(null, "torn");
    for (const reader of this.#readers) reader.flow();
    this.#pieces = [];
    this.#giveBack();
  }

  // For readers.

  get state(): "flowing" | "complete" | "failed" {
    return this.#state;
  }
  get failure(): GatewayError {
    return this.#error ?? new GatewayError("UPSTREAM_RESET", "the body broke off");
  }
  get trailers(): Fields | null {
    return this.#trailers;
  }
  get endBytes(): number {
    return this.#endBytes;
  }
  join(reader: FillReader): void {
    this.#readers.add(reader);
  }
  leave(reader: FillReader): void {
    this.#readers.delete(reader);
    if (this.#state === "complete" && this.#readers.size === 0) this.#giveBack();
    if (this.#state === "flowing" && this.#overflowed && this.#readers.size === 0) {
      this.#state = "failed";
      this.#pieces = [];
      this.#source.cancel();
    } else this.advanced();
  }
  /** By number since the beginning; undefined when it has not come yet. */
  piece(number: number): Buffer | undefined {
    return this.#pieces[number - this.#gone];
  }
  /** A reader has moved on: what all have taken of a body that is not kept is let go. */
  advanced(): void {
    if (!this.#overflowed || this.#state === "failed") return;
    let slowest = this.#endBytes;
    for (const reader of this.#readers) slowest = Math.min(slowest, reader.at);
    while (this.#pieces.length > 0 && this.#startBytes + this.#pieces[0]!.length <= slowest) {
      this.#startBytes += this.#pieces.shift()!.length;
      this.#gone++;
    }
    if (this.#sourcePaused && this.#endBytes - slowest < WINDOW_BYTES) {
      this.#sourcePaused = false;
      this.#source.resume();
    }
  }

  /** While it is to be kept it is bounded anyway, and the origin is released as fast as it can send. */
  #goesOn(): boolean {
    if (!this.#overflowed) return true;
    this.advanced();
    let slowest = this.#endBytes;
    for (const reader of this.#readers) slowest = Math.min(slowest, reader.at);
    this.#sourcePaused = this.#endBytes - slowest >= WINDOW_BYTES;
    return !this.#sourcePaused;
  }
  #take(bytes: number): void {
    this.#takenBytes += bytes;
    this.#budget.leftBytes -= bytes;
    const why = this.#endBytes > this.#limitBytes ? "too-large" : this.#budget.leftBytes < 0 ? "crowded" : null;
    if (why === null) return;
    this.#overflowed = true;
    this.#giveBack();
    this.#tell(null, why);
  }
  #giveBack(): void {
    this.#budget.leftBytes += this.#takenBytes;
    this.#takenBytes = 0;
  }
  #tell(body: Buffer | null, why: "complete" | "torn" | "too-large" | "crowded"): void {
    if (this.#told) return;
    this.#told = true;
    this.#onEnd(body, why);
  }
}

class FillReader implements BodySource {
  readonly length: number;
  /** Offset of the next byte. */
  at: number;
  #piece = 0;
  #pieceStart = 0;
  readonly #fill: Fill;
  readonly #to: number;
  #sink: BodySink | null = null;
  #paused = false;
  #flowing = false;

  constructor(fill: Fill, from: number, to: number, length: number) {
    this.#fill = fill;
    this.at = from;
    this.#to = to;
    this.length = length;
    // From now on: what it has not read yet must not be let go.
    fill.join(this);
  }

  read(sink: BodySink): void {
    this.#sink = sink;
    this.flow();
  }
  pause(): void {
    this.#paused = true;
  }
  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.flow();
  }
  cancel(): void {
    this.#sink = null;
    this.#fill.leave(this);
  }

  flow(): void {
    // A sink may resume from within `chunk`.
    if (this.#flowing) return;
    this.#flowing = true;
    const before = this.at;
    while (this.#sink !== null && !this.#paused && this.at < this.#to) {
      const piece = this.#fill.piece(this.#piece);
      if (piece === undefined) break;
      const skip = this.at - this.#pieceStart;
      if (skip >= piece.length) {
        this.#piece++;
        this.#pieceStart += piece.length;
        continue;
      }
      const part = piece.subarray(skip, Math.min(piece.length, this.#to - this.#pieceStart));
      this.at += part.length;
      if (!this.#sink.chunk(part)) this.#paused = true;
    }
    this.#flowing = false;
    const sink = this.#sink;
    if (sink !== null && !this.#paused) {
      if (this.at >= this.#to || (this.#fill.state === "complete" && this.at >= this.#fill.endBytes)) {
        this.#sink = null;
        this.#fill.leave(this);
        sink.end(this.#to === Infinity ? this.#fill.trailers : null);
        return;
      }
      if (this.#fill.state === "failed") {
        this.#sink = null;
        this.#fill.leave(this);
        sink.error(this.#fill.failure);
        return;
      }
    }
    if (this.at !== before) this.#fill.advanced();
  }
}

/** Not from Node's pool: a small body that stays would keep a slab of 64 KiB with others that went. */
export function ownCopy(pieces: readonly Buffer[], length: number): Buffer {
  const whole = Buffer.allocUnsafeSlow(length);
  let at = 0;
  for (const piece of pieces) at += piece.copy(whole, at);
  return whole;
}
