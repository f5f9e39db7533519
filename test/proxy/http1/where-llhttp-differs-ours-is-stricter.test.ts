import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ChunkedDecoder, parseRequestHead } from "../../../runtime/proxy/http1/grammar.ts";
import { PartialHead } from "../../../runtime/proxy/http1/partial-head.ts";
import { LIMITS } from "./front-harness.ts";
import { llhttpMessages } from "./llhttp.ts";
import type { Message } from "./llhttp.ts";

interface Ours {
  readonly message: Message | null;
  readonly refused: string;
}

/** The first message of `text` as our grammar reads it; null without a refusal means that more is needed. */
function ours(text: string): Ours {
  const bytesIn = Buffer.from(text, "latin1");
  const partial = new PartialHead();
  const taken = partial.take(bytesIn, 0, bytesIn.length, LIMITS);
  if (taken === null) return { message: null, refused: "" };
  const head = typeof taken === "string" ? parseRequestHead(taken, LIMITS) : taken;
  if (head.refused !== null) return { message: null, refused: `${head.refused}: ${head.detail}` };
  const bytes = bytesIn.subarray(partial.at);
  let body = "";
  let complete = true;
  if (head.bodyLength >= 0) {
    body = bytes.toString("latin1", 0, head.bodyLength);
    complete = body.length === head.bodyLength;
  } else {
    const decoder = new ChunkedDecoder(LIMITS);
    let at = 0;
    let step;
    while ((step = decoder.next(bytes, at, bytes.length)) === "data") {
      body += bytes.toString("latin1", decoder.dataStart, decoder.dataEnd);
      at = decoder.at;
    }
    if (step === "refused") return { message: null, refused: `${decoder.refusal!.refused}: ${decoder.refusal!.detail}` };
    complete = step === "end";
  }
  return { message: { method: head.method, target: head.target, fields: head.fields, body, complete }, refused: "" };
}

/** What ours refuses and llhttp takes, and why. */
const STRICTER: readonly [pattern: RegExp, reason: string][] = [
  [/^HOST_INVALID/, "llhttp does not look at Host; RFC 9112 section 3.2 demands exactly one valid one"],
  [/^METHOD_UNSUPPORTED/, "CONNECT and TRACE are valid, but not for a reverse proxy"],
  [/^VERSION_UNSUPPORTED/, "llhttp also takes HTTP/0.9 and 2.0"],
  [/^REQUEST_MALFORMED: the target holds a fragment/, "RFC 9112 section 3.2: no form of target has one"],
  [/^REQUEST_MALFORMED: target "\*"/, "RFC 9112 section 3.2.4: only for OPTIONS"],
  [/^REQUEST_MALFORMED: target .* is neither a path nor/, "other schemes are not served here"],
  [/^REQUEST_AMBIGUOUS: Transfer-Encoding (?:in HTTP\/1\.0|is repeated|is ")/, 'only one final "chunked" in HTTP/1.1 has one meaning (RFC 9112 section 6.1)'],
  [/^CODING_UNSUPPORTED/, "a coding that the gateway cannot take off"],
  [/^REQUEST_MALFORMED: Content-Length is "[0-9]{17,}"/, "more than sixteen digits; llhttp counts to 2^64"],
  [/^REQUEST_MALFORMED: Content-Length .* overflows/, "above 2^53 JavaScript cannot count bytes"],
  [/^EXPECTATION_FAILED/, "llhttp does not look at Expect (RFC 9110 section 10.1.1: 417)"],
  [/^REQUEST_MALFORMED: Connection holds/, "RFC 9110 section 7.6.1: options are tokens"],
  [/^CHUNK_MALFORMED: (?:a chunk size overflows|a chunk extension breaks)/, "thirteen digits, and extensions by their grammar"],
  [/^CHUNK_MALFORMED: trailers: /, "trailers obey the grammar of fields"],
  [
    /^CHUNK_MALFORMED: a control byte in the trailers/,
    "llhttp takes a bare LF for the blank line behind the last chunk (RFC 9112 section 2.2 lets it; two readers would not agree)",
  ],
];

/** RFC 9112 section 3 has one form of request line. llhttp also takes several spaces, line ends before it, no version (HTTP/0.9), RTSP and ICE. */
const REQUEST_LINE = /^(?:\r\n)?[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32} [\x21-\x7e]+ HTTP\/[0-9]\.[0-9]\r\n/;

/** What ours takes and llhttp refuses, and why that is safe. */
const LAXER: readonly [test: (text: string) => boolean, reason: string][] = [
  [(text) => !/^(?:\r\n)?(?:DELETE|GET|HEAD|POST|PUT|OPTIONS|PATCH) /.test(text), "methods are an open set (RFC 9110 section 16.1); llhttp knows a list"],
];

const name = fc.constantFrom(
  "X-A",
  "Accept",
  "x_b",
  "Content-Type",
  "Cookie",
  "Expect",
  "Connection",
  "Upgrade",
  "TE",
  "Host",
  "Content-Length",
  "Transfer-Encoding",
  "transfer-encoding",
  "CONTENT-LENGTH",
);
const value = fc.oneof(
  fc.constantFrom(
    "a",
    "",
    "chunked",
    "gzip, chunked",
    "chunked, gzip",
    "identity",
    "5",
    "05",
    "3",
    "5, 5",
    "-1",
    "+5",
    "0x5",
    "100-continue",
    "close",
    "keep-alive",
    "upgrade",
    "a b",
    "websocket",
    "b.example",
    " padded\t",
    "\xff\x80",
    "99999999999999999999",
  ),
  fc.string({ unit: "binary-ascii", maxLength: 8 }),
);
const fieldLine = fc.tuple(name, fc.constantFrom(":", ": ", ":\t", " :", ":  "), value).map(([n, colon, v]) => `${n}${colon}${v}\r\n`);
const requestLine = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom("POST / HTTP/1.1\r\n", "GET /a?b=c HTTP/1.1\r\n", "PUT /x HTTP/1.1\r\n") },
  fc
    .tuple(
      fc.constantFrom("GET", "HEAD", "CONNECT", "TRACE", "PURGE", "G(T", "get", "OPTIONS", ""),
      fc.constantFrom("/", "*", "http://a.example/", "http://b/", "a", "/#", "/\x7f", "/\xe9", "ftp://a/", "/ /", ""),
      fc.constantFrom("HTTP/1.1", "HTTP/1.0", "HTTP/2.0", "HTTP/0.9", "HTTP/1.2", "http/1.1", "RTSP/1.0", ""),
    )
    .map(([m, t, v]) => `${m} ${t} ${v}\r\n`),
);
const bodies = fc.constantFrom(
  "",
  "hello",
  "5\r\nhello\r\n0\r\n\r\n",
  "5;a=b\r\nhello\r\n0\r\nX-T: 1\r\n\r\n",
  '5;a="b\\"c"\r\nhello\r\n0\r\n\r\n',
  "005\r\nhello\r\n000\r\n\r\n",
  "5 \r\nhello\r\n0\r\n\r\n",
  "5\nhello\r\n0\r\n\r\n",
  "0\r\nX T: 1\r\n\r\n",
  "fffffffffffffffff\r\n",
);
const clean = fc
  .tuple(fc.boolean(), requestLine, fc.array(fieldLine, { maxLength: 4 }), fc.boolean(), bodies)
  .map(([empty, line, fields, hosted, body]) => `${empty ? "\r\n" : ""}${line}${hosted ? "Host: a.example\r\n" : ""}${fields.join("")}\r\n${body}`);
const mutation = fc.tuple(
  fc.nat(),
  fc.constantFrom("replace", "insert", "delete"),
  fc.constantFrom("\r", "\n", "\r\n", "\0", " ", "\t", ":", ";", ",", "\x0b", "\x0c", "\x7f", "\x80", "\xff", "0", "a", "/", '"', "\r\n ", "\n "),
);
const hostile = fc.tuple(clean, fc.array(mutation, { maxLength: 3 })).map(([text, mutations]) =>
  mutations.reduce((at, [where, how, what]) => {
    const i = where % (at.length + 1);
    return at.slice(0, i) + (how === "delete" ? "" : what) + at.slice(how === "insert" ? i : i + 1);
  }, text),
);

// The same cases each time, unless a longer search is asked for.
const longer = process.env["SLUICE_FUZZ_RUNS"];
const runs = Number(longer ?? "20000");

test(`over ${runs} mutated requests, every difference from llhttp is a listed one on the strict side`, () => {
  fc.assert(
    fc.property(hostile, (text) => {
      const { messages, error } = llhttpMessages(text);
      const theirs = messages[0] ?? null;
      const { message, refused } = ours(text);
      if (refused !== "") {
        // Ours refuses: llhttp does, too, or the reason is listed.
        const agree = error !== "" && !theirs?.complete;
        assert.ok(
          agree || !REQUEST_LINE.test(text) || STRICTER.some(([pattern]) => pattern.test(refused)),
          `ours refuses (${refused}), llhttp takes ${JSON.stringify(text)}`,
        );
        return;
      }
      if (message === null) {
        assert.equal(theirs, null, `ours waits, llhttp has a message in ${JSON.stringify(text)}`);
        return;
      }
      if (theirs === null || (error !== "" && !theirs.complete)) {
        assert.ok(
          LAXER.some(([holds]) => holds(text)),
          `ours takes, llhttp refuses (${error}) ${JSON.stringify(text)}`,
        );
        return;
      }
      // Both take it: then they read the same.
      assert.equal(message.method, theirs.method, text);
      if (theirs.target.startsWith("/") || theirs.target === "*") assert.equal(message.target, theirs.target, text);
      assert.equal(message.body, theirs.body, `different bodies in ${JSON.stringify(text)}`);
      assert.equal(message.complete, theirs.complete, `different ends in ${JSON.stringify(text)}`);
      const known = new Map<string, string[]>();
      for (let i = 0; i < theirs.fields.length; i += 2)
        known.set(theirs.fields[i]!.toLowerCase(), [...(known.get(theirs.fields[i]!.toLowerCase()) ?? []), theirs.fields[i + 1]!]);
      for (let i = 0; i < message.fields.length; i += 2)
        assert.ok(known.get(message.fields[i]!)?.includes(message.fields[i + 1]!), `field ${message.fields[i]} differs in ${JSON.stringify(text)}`);
    }),
    longer === undefined ? { numRuns: runs, seed: 1 } : { numRuns: runs },
  );
});
