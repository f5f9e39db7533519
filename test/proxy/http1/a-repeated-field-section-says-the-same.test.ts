/** A connection remembers the fields of an earlier request: what it makes of the next ones must not differ by it. */
import assert from "node:assert/strict";
import test from "node:test";
import fc from "fast-check";
import { parseRequestHead } from "../../../runtime/proxy/http1/grammar.ts";
import { RepeatedSection } from "../../../runtime/proxy/http1/repeated-section.ts";
import { LIMITS } from "./front-harness.ts";

const PLENTY = 1 << 20;

const SECTIONS = [
  "Host: a.example\r\nUser-Agent: x\r\n\r\n",
  "Host: a.example\r\nUser-Agent: y\r\n\r\n",
  "Host: b.example\r\nCookie: a=b\r\nConnection: close\r\n\r\n",
  "Host: a.example\r\nConnection: keep-alive, x-hop\r\nX-Hop: 1\r\nX-Stays: 2\r\n\r\n",
  "Host: a.example\r\nExpect: 100-continue\r\n\r\n",
  "Host: a.example\r\nContent-Length: 3\r\n\r\n",
  "Host: a.example\r\nTransfer-Encoding: chunked\r\n\r\n",
  "Host: a.example\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
  "Host: a.example\r\nHost: b.example\r\n\r\n",
  "User-Agent: nobody\r\n\r\n",
  "Host: a.example\r\nBad Name: x\r\n\r\n",
  `Host: a.example\r\nX-Long: ${"z".repeat(4_000)}\r\n\r\n`,
  "\r\n",
] as const;
const LINES = [
  "GET / HTTP/1.1\r\n",
  "POST /a?b=c HTTP/1.1\r\n",
  "GET / HTTP/1.0\r\n",
  "GET http://a.example/ HTTP/1.1\r\n",
  "PURGE / HTTP/1.1\r\n",
  "GET  / HTTP/1.1\r\n",
];

test("heads are read alike with and without the memory of those before, whatever order they come in", () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.constantFrom(...LINES), fc.constantFrom(...SECTIONS), fc.nat(6)), { maxLength: 12 }),
      fc.constantFrom(0, 200, PLENTY),
      (requests, leftBytes) => {
        const memory = new RepeatedSection({ leftBytes });
        for (const [line, section, repeats] of requests) {
          for (let n = 0; n <= repeats; n++) {
            const read = parseRequestHead(line + section, LIMITS, memory);
            assert.deepEqual(read, parseRequestHead(line + section, LIMITS));
            // Rules change the fields of their request: of no other.
            if (read.refused === null) read.fields.push("x-rule", "was here");
          }
        }
      },
    ),
  );
});

test("a section is known from the third request on, and not when a byte of it differs", () => {
  const memory = new RepeatedSection({ leftBytes: PLENTY });
  const [line] = LINES;
  const [section, other] = SECTIONS;
  assert.equal(memory.of(line! + section, line!.length), null);
  for (let n = 0; n < 2; n++) parseRequestHead(line! + section, LIMITS, memory);
  assert.deepEqual(memory.of(line! + section, line!.length)?.fields, ["user-agent", "x"]);
  assert.equal(memory.of(line! + other, line!.length), null);
  assert.equal(memory.of(`${line!}${section} `, line!.length), null);
});

test("what connections keep is bounded together, and given back", () => {
  const budget = { leftBytes: 250 };
  const [line] = LINES;
  const [section] = SECTIONS;
  const memories = Array.from({ length: 3 }, () => new RepeatedSection(budget));
  for (const memory of memories) for (let n = 0; n < 3; n++) parseRequestHead(line! + section, LIMITS, memory);
  assert.deepEqual(
    memories.map((memory) => memory.of(line! + section, line!.length) !== null),
    [true, false, false],
  );
  for (const memory of memories) memory.forget();
  assert.equal(budget.leftBytes, 250);
});
