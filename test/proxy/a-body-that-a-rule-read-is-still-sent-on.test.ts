import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { GatewayError } from "../../runtime/errors.ts";
import type { BodySink, BodySource } from "../../runtime/proxy/exchange.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import { HeldBody } from "../../runtime/proxy/held-body.ts";

/** Gives its pieces one by one, only while it is not paused. */
class Pieces implements BodySource {
  readonly length: number;
  readonly #pieces: Buffer[];
  #sink: BodySink | null = null;
  #paused = false;
  #ended = false;
  cancelled = false;

  constructor(pieces: readonly string[], length = -1) {
    this.#pieces = pieces.map((piece) => Buffer.from(piece));
    this.length = length;
  }
  read(sink: BodySink): void {
    this.#sink = sink;
    this.#flow();
  }
  pause(): void {
    this.#paused = true;
  }
  resume(): void {
    this.#paused = false;
    this.#flow();
  }
  cancel(): void {
    this.cancelled = true;
  }
  #flow(): void {
    while (!this.#paused && this.#pieces.length > 0) if (!this.#sink!.chunk(this.#pieces.shift()!)) this.#paused = true;
    if (this.#paused || this.#pieces.length > 0 || this.#ended) return;
    this.#ended = true;
    this.#sink!.end(Fields.of(["x-trailer", "1"]));
  }
}

/** Takes bytes, pausing after each piece when it is slow. */
class Taker implements BodySink {
  text = "";
  ended = false;
  trailer: string | undefined;
  failed: GatewayError | null = null;
  readonly #slow: boolean;
  constructor(slow = false) {
    this.#slow = slow;
  }
  chunk(bytes: Buffer): boolean {
    this.text += bytes.toString();
    return !this.#slow;
  }
  end(trailers: Fields | null): void {
    assert.equal(this.ended, false);
    this.ended = true;
    this.trailer = trailers?.get("x-trailer");
  }
  error(error: GatewayError): void {
    this.failed = error;
  }
}

describe("a held body", () => {
  test("is read whole, twice if need be, and then flows on with its trailers", async () => {
    const held = new HeldBody(new Pieces(["one ", "two ", "three"]));
    assert.equal((await held.collect(100)).toString(), "one two three");
    assert.equal((await held.collect(100)).toString(), "one two three");
    assert.equal(held.length, 13);
    const taker = new Taker();
    held.read(taker);
    assert.deepEqual([taker.text, taker.ended, taker.trailer], ["one two three", true, "1"]);
  });
  test("that came byte by byte is held in blocks: each byte of its own would hold a hundred", async () => {
    const held = new HeldBody(new Pieces(Array.from({ length: 60_000 }, (_, i) => String(i % 10))));
    await assert.rejects(held.collect(50_000), { code: "BODY_TOO_LARGE" });
    let pieces = 0;
    let text = "";
    held.read({ chunk: (bytes) => ((text += bytes.toString()), ++pieces > 0), end: () => undefined, error: assert.fail });
    assert.equal(text, "0123456789".repeat(6_000));
    // What had been held came in blocks, the rest as it comes.
    assert.ok(pieces < 60_000 - 50_001 + 10, String(pieces));
  });
  test("flows through untouched when nobody collected it", () => {
    const held = new HeldBody(new Pieces(["one ", "two"], 7));
    const taker = new Taker();
    held.read(taker);
    assert.deepEqual([held.length, taker.text, taker.ended], [7, "one two", true]);
  });
  test("is refused at once when its declared length is above the limit, and is still whole", async () => {
    const held = new HeldBody(new Pieces(["one ", "two"], 7));
    await assert.rejects(held.collect(6), (error: unknown) => error instanceof GatewayError && error.code === "BODY_TOO_LARGE");
    const taker = new Taker();
    held.read(taker);
    assert.deepEqual([taker.text, taker.ended], ["one two", true]);
  });
  test("that turns out larger than the limit loses nothing, for slow takers either", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.string({ minLength: 1, maxLength: 9 }), { maxLength: 12 }), fc.nat(40), fc.boolean(), async (pieces, limit, slow) => {
        const whole = pieces.join("");
        const held = new HeldBody(new Pieces(pieces));
        const outcome = await held.collect(limit).then(
          (bytes) => bytes.toString(),
          (error: unknown) => (error as GatewayError).code,
        );
        assert.equal(outcome, Buffer.byteLength(whole) <= limit ? whole : "BODY_TOO_LARGE");
        const taker = new Taker(slow);
        held.read(taker);
        for (let i = 0; i <= pieces.length + 1 && !taker.ended; i++) held.resume();
        assert.deepEqual([taker.text, taker.ended], [whole, true]);
      }),
    );
  });
  test("that breaks off tells whoever waits and whoever comes after", async () => {
    const source: BodySource = {
      length: -1,
      read: (sink) => sink.error(new GatewayError("UPSTREAM_RESET", "gone")),
      pause: () => undefined,
      resume: () => undefined,
      cancel: () => undefined,
    };
    const held = new HeldBody(source);
    await assert.rejects(held.collect(10), /UPSTREAM_RESET/);
    const taker = new Taker();
    held.read(taker);
    assert.equal(taker.failed?.code, "UPSTREAM_RESET");
  });
  test("cancels its source when the rest is not wanted", () => {
    const source = new Pieces(["a"]);
    new HeldBody(source).cancel();
    assert.equal(source.cancelled, true);
  });
});
