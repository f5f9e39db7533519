import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { compareRequests } from "../../../bench/fuzz/request-differences.ts";

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
    fc.property(hostile, fc.array(fc.integer({ min: 1, max: 20 }), { maxLength: 4 }), (text, pieces) => {
      const { difference } = compareRequests(text, pieces);
      assert.equal(difference, "", JSON.stringify(text));
    }),
    longer === undefined ? { numRuns: runs, seed: 1 } : { numRuns: runs },
  );
});
