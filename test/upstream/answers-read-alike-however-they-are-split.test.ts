import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ResponseReader } from "../../runtime/upstream/response-reader.ts";
import { WIRE } from "./origin.ts";

interface Seen {
  readonly events: string[];
  body: string;
  problem: string;
}

/** Feeds `bytes` in pieces and writes down what the reader finds. Stops at the first problem, as a connection does. */
function readIn(pieces: readonly Buffer[], method: string): Seen {
  const seen: Seen = { events: [], body: "", problem: "" };
  const reader = new ResponseReader(WIRE, {
    informational: (status, fields) => seen.events.push(`hint ${status} ${fields.list.join()}`),
    responseWhole(answer, body) {
      seen.events.push(`head ${answer.status} ${answer.fields.join()} ${answer.declaredLength}`, "end ");
      body.read({ chunk: (bytes) => ((seen.body += bytes.toString("latin1")), true), end: () => undefined, error: () => undefined });
    },
    responseBegins: (answer) => seen.events.push(`head ${answer.status} ${answer.fields.join()} ${answer.declaredLength}`),
    responseBytes: (bytes) => (seen.body += bytes.toString("latin1")),
    responseEnds: (_answer, trailers) => seen.events.push(`end ${trailers?.list.join() ?? ""}`),
    responseSwitches: () => seen.events.push("switch"),
  });
  reader.expect(method, "");
  for (const piece of pieces) {
    // A buffer that was read belongs to the reader.
    const problem = reader.feed(Buffer.from(piece), piece.length);
    if (problem === null) continue;
    seen.problem = problem.code;
    break;
  }
  return seen;
}

function cut(bytes: Buffer, at: readonly number[]): Buffer[] {
  const places = [...new Set(at.map((place) => place % bytes.length))].toSorted((a, b) => a - b);
  return [0, ...places].map((from, i) => bytes.subarray(from, places[i] ?? bytes.length)).filter((piece) => piece.length > 0);
}

const text = fc.string({ unit: fc.constantFrom("a", "Z", "0", " ", "\r", "\n", "\xff"), maxLength: 40 });
const answer = fc
  .record({ hints: fc.nat(2), chunks: fc.array(text, { maxLength: 5 }), framing: fc.constantFrom("length", "chunked", "close", "none"), trailer: fc.boolean() })
  .map(({ hints, chunks, framing, trailer }) => {
    const hint = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(hints);
    const whole = chunks.join("");
    if (framing === "none") return `${hint}HTTP/1.1 304 Not Modified\r\netag: "1"\r\ncontent-length: 7\r\n\r\n`;
    if (framing === "length") return `${hint}HTTP/1.1 200 OK\r\ncontent-length: ${whole.length}\r\n\r\n${whole}`;
    if (framing === "close") return `${hint}HTTP/1.1 200 OK\r\nx-a: b\r\n\r\n${whole}`;
    const coded = chunks.filter((chunk) => chunk !== "").map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`);
    return `${hint}HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${coded.join("")}0\r\n${trailer ? "x-sum: 1\r\n" : ""}\r\n`;
  });

test("any way of cutting an answer into reads gives the same head, body and trailers", () => {
  fc.assert(
    fc.property(answer, fc.array(fc.nat(), { maxLength: 30 }), fc.constantFrom("GET", "HEAD"), (bytes, at, method) => {
      const buffer = Buffer.from(bytes, "latin1");
      const whole = readIn([buffer], method);
      assert.equal(whole.problem, "");
      assert.deepEqual(readIn(cut(buffer, at), method), whole);
      assert.deepEqual(readIn(cut(buffer, [...buffer.keys()]), method), whole);
    }),
    { numRuns: 300 },
  );
});

test("mutated answers are read alike too, never throw, and never give bytes behind a problem", () => {
  const mutation = fc.record({ at: fc.nat(), byte: fc.integer({ min: 0, max: 255 }), cut: fc.boolean() });
  fc.assert(
    fc.property(answer, fc.array(mutation, { minLength: 1, maxLength: 4 }), fc.array(fc.nat(), { maxLength: 30 }), (bytes, mutations, at) => {
      let buffer = Buffer.from(bytes, "latin1");
      for (const { at: place, byte, cut: cutOff } of mutations) {
        if (cutOff) buffer = Buffer.from(buffer.subarray(0, 1 + (place % buffer.length)));
        else buffer[place % buffer.length] = byte;
      }
      const whole = readIn([buffer], "GET");
      const inPieces = readIn(cut(buffer, at), "GET");
      assert.equal(inPieces.problem === "", whole.problem === "");
      if (whole.problem === "") assert.deepEqual(inPieces, whole);
    }),
    { numRuns: 1_000 },
  );
});

test("small chunks that came in one read are given in one piece, so that each of them costs nobody anything", () => {
  const pieces: string[] = [];
  const nothing = (): void => undefined;
  const reader = new ResponseReader(WIRE, {
    informational: nothing,
    responseWhole: nothing,
    responseBegins: nothing,
    responseBytes: (bytes) => pieces.push(bytes.toString()),
    responseEnds: () => pieces.push("end"),
    responseSwitches: nothing,
  });
  reader.expect("GET", "");
  const answer = Buffer.from(`HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n${"1\r\na\r\n2;x\r\nbc\r\n".repeat(500)}0\r\n\r\n`);
  assert.equal(reader.feed(answer, answer.length), null);
  assert.deepEqual(pieces, ["abc".repeat(500), "end"]);
});
