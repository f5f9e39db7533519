import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { test } from "node:test";
import fc from "fast-check";
import { ManualClock } from "../../../runtime/clock.ts";
import type { Exchange } from "../../../runtime/proxy/exchange.ts";
import { createHttp1Front } from "../../../runtime/proxy/http1/front.ts";
import { ChunkedDecoder, parseRequestHead } from "../../../runtime/proxy/http1/grammar.ts";
import { Fields } from "../../../runtime/proxy/fields.ts";
import { echo, LIMITS } from "./front-harness.ts";

/** A socket without a network: what is pushed comes as reads of exactly that size, what is written is remembered. */
class PipeSocket extends Duplex {
  written = "";
  remoteAddress = "192.0.2.1";
  remotePort = 1;
  localAddress = "192.0.2.2";
  localPort = 2;
  override _read(): void {}
  override _write(bytes: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.written += bytes.toString("latin1");
    done();
  }
  resetAndDestroy(): void {
    this.destroy();
  }
}

interface Outcome {
  readonly targets: string[];
  readonly refused: string[];
  readonly written: string;
}

/** Feeds `pieces` one read each, as fast as the connection takes them. */
async function exchangesOf(pieces: Buffer[], answer: (exchange: Exchange) => void): Promise<Outcome> {
  const targets: string[] = [];
  const refused: string[] = [];
  const front = createHttp1Front({
    limits: LIMITS,
    clock: new ManualClock(),
    scheme: "http",
    connectionId: () => "1",
    onExchange(exchange) {
      targets.push(exchange.target);
      answer(exchange);
    },
    onRefused: (error) => refused.push(error.code),
  });
  const socket = new PipeSocket();
  front.accept(socket as unknown as Socket);
  for (const piece of pieces) {
    // One reused buffer, as with onread: whoever keeps a view sees it change.
    socket.emit("data", piece);
    piece.fill(0x58);
    while (socket.isPaused()) await new Promise((resolve) => setImmediate(resolve));
  }
  for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
  const outcome = { targets, refused, written: socket.written };
  front.closeAll();
  socket.destroy();
  await front.idle();
  return outcome;
}

const token = fc.stringMatching(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,12}$/);
const bodyText = fc.string({ unit: "binary-ascii", maxLength: 40 });
const chunk = fc.record({ data: fc.stringMatching(/^[\x20-\x7e]{1,30}$/), extension: fc.option(token, { nil: null }) });
const request = fc.oneof(
  token.map((path) => `GET /${path.replaceAll("#", "")} HTTP/1.1\r\nHost: a.example\r\n\r\n`),
  fc.tuple(token, bodyText).map(([name, body]) => `POST /known HTTP/1.1\r\nhost: a.example\r\nX-${name}: v\r\nContent-Length: ${body.length}\r\n\r\n${body}`),
  fc
    .tuple(fc.array(chunk, { maxLength: 4 }), fc.boolean())
    .map(
      ([chunks, trailer]) =>
        `PUT /chunked HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n${chunks.map(({ data, extension }) => `${data.length.toString(16)}${extension === null ? "" : `;${extension}`}\r\n${data}\r\n`).join("")}0\r\n${trailer ? "X-T: 1\r\n" : ""}\r\n`,
    ),
  fc.constant("\r\nOPTIONS * HTTP/1.1\r\nHost: a.example\r\n\r\n"),
);
// Something broken may end the stream: then that must be refused in every split, too.
const broken = fc.constantFrom(
  "",
  "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
  "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloX",
  "\n",
  "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
);
const stream = fc.tuple(fc.array(request, { minLength: 1, maxLength: 5 }), broken).map(([requests, last]) => requests.join("") + last);

function split(text: string, cuts: readonly number[]): Buffer[] {
  const bytes = Buffer.from(text, "latin1");
  const at = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  const pieces: Buffer[] = [];
  let from = 0;
  for (const cut of [...at, bytes.length]) {
    if (cut > from) pieces.push(Buffer.from(bytes.subarray(from, cut)));
    from = cut;
  }
  return pieces;
}

/** Answers later and takes the body in fits and starts. */
function hesitate(exchange: Exchange): void {
  const pieces: Buffer[] = [];
  exchange.body.read({
    chunk(bytes) {
      pieces.push(Buffer.from(bytes));
      setImmediate(() => exchange.body.resume());
      return false;
    },
    end: (trailers) =>
      setImmediate(() =>
        echo({ ...view(exchange), body: { ...exchange.body, read: (sink) => (pieces.forEach((piece) => sink.chunk(piece)), sink.end(trailers)) } } as Exchange),
      ),
    error: () =>
      echo({
        ...view(exchange),
        body: { read: (sink: { error(e: unknown): void }) => sink.error({ status: 400, code: "CHUNK_MALFORMED" }) },
      } as unknown as Exchange),
  });
}
function view(exchange: Exchange): Partial<Exchange> {
  const { method, target, authority, version, fields } = exchange;
  return { method, target, authority, version, fields, reply: (status, more, body) => exchange.reply(status, more, body) };
}

test("however the bytes of a connection are split, its exchanges and answers are the same", async () => {
  await fc.assert(
    fc.asyncProperty(stream, fc.array(fc.nat(), { maxLength: 40 }), fc.boolean(), async (text, cuts, slow) => {
      const whole = await exchangesOf(split(text, []), echo);
      const pieces = await exchangesOf(split(text, cuts), slow ? hesitate : echo);
      assert.deepEqual(pieces, whole);
    }),
    { numRuns: 400 },
  );
});

test("small chunks that came in one read go on in one piece, so that each of them costs its sink nothing", async () => {
  const pieces: string[] = [];
  const text = `PUT / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n${"1\r\na\r\n2;x\r\nbc\r\n".repeat(500)}0\r\n\r\n`;
  const { targets } = await exchangesOf([Buffer.from(text)], (exchange) =>
    exchange.body.read({ chunk: (bytes) => pieces.push(bytes.toString()) > 0, end: () => exchange.reply(200, new Fields(), ""), error: assert.fail }),
  );
  assert.deepEqual([targets, pieces], [["/"], ["abc".repeat(500)]]);
});

test("a chunked body read byte by byte is the same as read at once", () => {
  const decode = (text: string, cuts: readonly number[]): unknown => {
    const decoder = new ChunkedDecoder(LIMITS);
    let data = "";
    let rest = "";
    let last = "more";
    for (const piece of split(text, cuts)) {
      let at = 0;
      if (last !== "more") {
        rest += piece.toString("latin1");
        continue;
      }
      do {
        last = decoder.next(piece, at, piece.length);
        at = decoder.at;
        if (last === "data") data += piece.toString("latin1", decoder.dataStart, decoder.dataEnd);
      } while (last === "data");
      if (last !== "more") rest += piece.toString("latin1", at);
    }
    // Where a refusal is noticed may depend on the split; that it is refused, and all before it, may not.
    return last === "refused" ? { last } : { last, data, rest, trailers: decoder.trailers };
  };
  const mutated = fc.tuple(
    fc
      .array(chunk, { maxLength: 4 })
      .map(
        (chunks) =>
          `${chunks.map(({ data, extension }) => `${data.length.toString(16)}${extension === null ? "" : `;${extension}`}\r\n${data}\r\n`).join("")}0\r\nX-T: 1\r\nVary: x\r\n\r\nrest`,
      ),
    fc.option(fc.tuple(fc.nat(), fc.constantFrom("\r", "\n", "\0", " ", ";", "\t", "g", "0", "\r\n", "\x80")), { nil: null }),
  );
  fc.assert(
    fc.property(mutated, fc.array(fc.nat(), { maxLength: 60 }), ([text, mutation], cuts) => {
      const bytes = mutation === null ? text : text.slice(0, mutation[0] % text.length) + mutation[1] + text.slice((mutation[0] % text.length) + 1);
      const all = Array.from({ length: bytes.length }, (_, i) => i);
      assert.deepEqual(decode(bytes, cuts), decode(bytes, []));
      assert.deepEqual(decode(bytes, all), decode(bytes, []));
    }),
    { numRuns: 2000 },
  );
});

test("no bytes make the head parser throw", () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.constantFrom(
          "GET",
          " ",
          "/",
          "HTTP/1.1",
          "\r\n",
          "Host:",
          "a",
          "\n",
          "\r",
          ":",
          "\t",
          "Content-Length: 1",
          "Transfer-Encoding:",
          "chunked",
          "\0",
          "\xff",
          "[::1]",
          "http://",
          "#",
          "*",
        ),
        { maxLength: 30 },
      ),
      (parts) => {
        const parsed = parseRequestHead(`${parts.join("")}\r\n\r\n`, LIMITS);
        assert.ok(parsed.refused === null || parsed.detail !== "");
      },
    ),
    { numRuns: 5000 },
  );
});
