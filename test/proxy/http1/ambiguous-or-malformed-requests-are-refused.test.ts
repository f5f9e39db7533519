import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { ErrorCode } from "../../../runtime/errors.ts";
import { ERRORS } from "../../../runtime/errors.ts";
import { ask, INNOCENT, LIMITS, startFront } from "./front-harness.ts";
import type { Harness } from "./front-harness.ts";

let harness: Harness;
before(async () => {
  harness = await startFront();
});
after(() => harness.close());

const get = (...lines: string[]): string => `GET / HTTP/1.1\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`;
const hosted = (...lines: string[]): string => get("Host: a.example", ...lines);
const post = (...lines: string[]): string => `POST / HTTP/1.1\r\nHost: a.example\r\n${lines.map((line) => `${line}\r\n`).join("")}\r\n`;
const chunked = (body: string): string => `${post("Transfer-Encoding: chunked")}${body}`;
const line = (requestLine: string): string => `${requestLine}\r\nHost: a.example\r\n\r\n`;

/** What is sent (and nothing after it), and the code it is answered with. A GET to a hidden path behind each must never be served. */
const ATTACKS: readonly [name: string, request: string, code: ErrorCode][] = [
  ["two different Content-Lengths", post("Content-Length: 5", "Content-Length: 6") + "hello", "REQUEST_AMBIGUOUS"],
  ["two equal Content-Lengths", post("Content-Length: 5", "Content-Length: 5") + "hello", "REQUEST_AMBIGUOUS"],
  ["a list of Content-Lengths", post("Content-Length: 5, 5") + "hello", "REQUEST_AMBIGUOUS"],
  ["a Content-Length with a sign", post("Content-Length: +5") + "hello", "REQUEST_MALFORMED"],
  ["a negative Content-Length", post("Content-Length: -5") + "hello", "REQUEST_MALFORMED"],
  ["a hexadecimal Content-Length", post("Content-Length: 0x5") + "hello", "REQUEST_MALFORMED"],
  ["a Content-Length with a fraction", post("Content-Length: 5.0") + "hello", "REQUEST_MALFORMED"],
  ["a Content-Length with an inner space", post("Content-Length: 1 5") + "hello", "REQUEST_MALFORMED"],
  ["an empty Content-Length", post("Content-Length:"), "REQUEST_MALFORMED"],
  ["a Content-Length of 2^64", post("Content-Length: 18446744073709551616"), "REQUEST_MALFORMED"],
  ["a Content-Length above 2^53", post("Content-Length: 9007199254740993"), "REQUEST_MALFORMED"],
  ["Content-Length with Transfer-Encoding", post("Content-Length: 5", "Transfer-Encoding: chunked") + "0\r\n\r\n", "REQUEST_AMBIGUOUS"],
  ["Transfer-Encoding with Content-Length", post("Transfer-Encoding: chunked", "Content-Length: 5") + "0\r\n\r\n", "REQUEST_AMBIGUOUS"],
  [
    "Content-Length hidden behind Connection",
    post("Connection: content-length", "Content-Length: 5", "Transfer-Encoding: chunked") + "0\r\n\r\n",
    "REQUEST_AMBIGUOUS",
  ],
  ["Transfer-Encoding twice", post("Transfer-Encoding: chunked", "Transfer-Encoding: chunked") + "0\r\n\r\n", "REQUEST_AMBIGUOUS"],
  ["Transfer-Encoding: identity beside chunked", post("Transfer-Encoding: identity", "Transfer-Encoding: chunked") + "0\r\n\r\n", "REQUEST_AMBIGUOUS"],
  ["Transfer-Encoding: chunked, identity", post("Transfer-Encoding: chunked, identity") + "0\r\n\r\n", "REQUEST_AMBIGUOUS"],
  ["Transfer-Encoding: chunked, chunked", post("Transfer-Encoding: chunked, chunked") + "0\r\n\r\n", "REQUEST_AMBIGUOUS"],
  ["Transfer-Encoding: xchunked", post("Transfer-Encoding: xchunked") + "0\r\n\r\n", "REQUEST_AMBIGUOUS"],
  ["Transfer-Encoding: chunked with a parameter", post("Transfer-Encoding: chunked;a=b") + "0\r\n\r\n", "REQUEST_AMBIGUOUS"],
  ["Transfer-Encoding in quotes", post('Transfer-Encoding: "chunked"') + "0\r\n\r\n", "REQUEST_AMBIGUOUS"],
  ["Transfer-Encoding: chunked and a comma", post("Transfer-Encoding: chunked,") + "0\r\n\r\n", "REQUEST_AMBIGUOUS"],
  ["Transfer-Encoding with nothing", post("Transfer-Encoding:") + "0\r\n\r\n", "REQUEST_AMBIGUOUS"],
  ["Transfer-Encoding: gzip, chunked", post("Transfer-Encoding: gzip, chunked") + "0\r\n\r\n", "CODING_UNSUPPORTED"],
  ["Transfer-Encoding before a tab", post("Transfer-Encoding: chunked\t") + "0\r\n\r\n", "REQUEST_AMBIGUOUS"],
  ["Transfer-Encoding behind a tab", post("Transfer-Encoding:\tchunked") + "0\r\n\r\n", "REQUEST_AMBIGUOUS"],
  ["Transfer-Encoding behind a vertical tab", post("Transfer-Encoding: \x0bchunked") + "0\r\n\r\n", "REQUEST_MALFORMED"],
  ["Transfer-Encoding with an underscore stays an unknown field", post("Transfer_Encoding: chunked", "Content-Length: x"), "REQUEST_MALFORMED"],
  ["Transfer-Encoding in HTTP/1.0", "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "REQUEST_AMBIGUOUS"],
  ["a space before the colon", hosted("Transfer-Encoding : chunked"), "REQUEST_MALFORMED"],
  ["a tab before the colon", hosted("X-A\t: 1"), "REQUEST_MALFORMED"],
  ["a folded line", hosted("X-A: 1", " 2"), "REQUEST_MALFORMED"],
  ["a folded line with a tab", hosted("X-A: 1", "\t2"), "REQUEST_MALFORMED"],
  ["white space before the first header", `GET / HTTP/1.1\r\n Host: a.example\r\n\r\n`, "REQUEST_MALFORMED"],
  ["an empty header name", hosted(": 1"), "REQUEST_MALFORMED"],
  ["a header line without a colon", hosted("X-A"), "REQUEST_MALFORMED"],
  ["a header name with a space", hosted("X A: 1"), "REQUEST_MALFORMED"],
  ["a header name outside ASCII", hosted("X-\xe9: 1"), "REQUEST_MALFORMED"],
  ["a header name with parentheses", hosted("X(a): 1"), "REQUEST_MALFORMED"],
  ["NUL in a header value", hosted("X-A: 1\x002"), "REQUEST_MALFORMED"],
  ["NUL in a header name", hosted("X\0A: 1"), "REQUEST_MALFORMED"],
  ["DEL in a header value", hosted("X-A: \x7f"), "REQUEST_MALFORMED"],
  ["a control byte in a header value", hosted("X-A: \x01"), "REQUEST_MALFORMED"],
  ["a bare CR in a header value", hosted("X-A: 1\r2"), "REQUEST_MALFORMED"],
  ["a bare CR that hides a header", hosted("X-A: 1\rTransfer-Encoding: chunked"), "REQUEST_MALFORMED"],
  ["a bare LF between headers", "GET / HTTP/1.1\r\nHost: a.example\nX-A: 1\r\n\r\n", "REQUEST_MALFORMED"],
  ["bare LF line ends everywhere", "GET / HTTP/1.1\nHost: a.example\n\n", "REQUEST_MALFORMED"],
  ["a bare LF as the blank line", "GET / HTTP/1.1\r\nHost: a.example\r\n\n", "REQUEST_MALFORMED"],
  ["CR CR LF", hosted("X-A: 1\r"), "REQUEST_MALFORMED"],
  ["no Host", get("X-A: 1"), "HOST_INVALID"],
  ["an empty Host", get("Host:"), "HOST_INVALID"],
  ["two Hosts", get("Host: a.example", "Host: b.example"), "HOST_INVALID"],
  ["two equal Hosts", get("Host: a.example", "Host: a.example"), "HOST_INVALID"],
  ["a list in Host", get("Host: a.example, b.example"), "HOST_INVALID"],
  ["an empty label at the end of Host", get("Host: a.example.."), "HOST_INVALID"],
  ["an empty label in Host", get("Host: a..example"), "HOST_INVALID"],
  ["a Host of a dot", get("Host: ."), "HOST_INVALID"],
  ["a path in Host", get("Host: a.example/x"), "HOST_INVALID"],
  ["user information in Host", get("Host: user@a.example"), "HOST_INVALID"],
  ["a space in Host", get("Host: a. example"), "HOST_INVALID"],
  ["a port that is none", get("Host: a.example:http"), "HOST_INVALID"],
  ["a port above 65535", get("Host: a.example:65536"), "HOST_INVALID"],
  ["an empty port", get("Host: a.example:"), "HOST_INVALID"],
  ["an IPv6 address without brackets", get("Host: ::1"), "HOST_INVALID"],
  ["an IPv6 address that is none", get("Host: [::1::]"), "HOST_INVALID"],
  ["a Host outside ASCII", get("Host: \xe9.example"), "HOST_INVALID"],
  ["a Host with a percent-escape", get("Host: a%2eexample"), "HOST_INVALID"],
  ["an absolute target that differs from Host", "GET http://b.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", "HOST_INVALID"],
  ["an absolute target with user information", "GET http://u:p@a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", "HOST_INVALID"],
  ["an absolute target without authority", "GET http:///x HTTP/1.1\r\nHost: a.example\r\n\r\n", "HOST_INVALID"],
  ["an absolute target of another scheme", "GET ftp://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n", "REQUEST_MALFORMED"],
  ["a target without a slash", line("GET x HTTP/1.1"), "REQUEST_MALFORMED"],
  ["an empty target", line("GET  HTTP/1.1"), "REQUEST_MALFORMED"],
  ["a fragment in the target", line("GET /a#b HTTP/1.1"), "REQUEST_MALFORMED"],
  ["a space in the target", line("GET /a b HTTP/1.1"), "REQUEST_MALFORMED"],
  ["a tab in the request line", line("GET\t/ HTTP/1.1"), "REQUEST_MALFORMED"],
  ["NUL in the target", line("GET /\0 HTTP/1.1"), "REQUEST_MALFORMED"],
  ["a target outside ASCII", line("GET /\xe9 HTTP/1.1"), "REQUEST_MALFORMED"],
  ["a bare CR in the request line", line("GET /\rX HTTP/1.1"), "REQUEST_MALFORMED"],
  ["two spaces in the request line", line("GET  / HTTP/1.1"), "REQUEST_MALFORMED"],
  ["a space behind the version", line("GET / HTTP/1.1 "), "REQUEST_MALFORMED"],
  ["a space before the method", line(" GET / HTTP/1.1"), "REQUEST_MALFORMED"],
  ["two empty lines before the request line", `\r\n\r\n${hosted()}`, "REQUEST_MALFORMED"],
  ["* with GET", line("GET * HTTP/1.1"), "REQUEST_MALFORMED"],
  ["a method that is no token", line("G(T / HTTP/1.1"), "REQUEST_MALFORMED"],
  ["a method of 33 letters", line(`${"A".repeat(33)} / HTTP/1.1`), "REQUEST_MALFORMED"],
  ["HTTP/0.9", "GET /\r\n\r\n", "REQUEST_MALFORMED"],
  ["a lowercase protocol", line("GET / http/1.1"), "REQUEST_MALFORMED"],
  ["HTTP/1.2", line("GET / HTTP/1.2"), "VERSION_UNSUPPORTED"],
  ["HTTP/2.0", line("GET / HTTP/2.0"), "VERSION_UNSUPPORTED"],
  ["the preface of HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "VERSION_UNSUPPORTED"],
  ["HTTP/1.10", line("GET / HTTP/1.10"), "REQUEST_MALFORMED"],
  ["CONNECT", "CONNECT a.example:443 HTTP/1.1\r\nHost: a.example:443\r\n\r\n", "METHOD_UNSUPPORTED"],
  ["TRACE", line("TRACE / HTTP/1.1"), "METHOD_UNSUPPORTED"],
  ["an expectation nobody knows", post("Content-Length: 1", "Expect: 200-ok"), "EXPECTATION_FAILED"],
  ["a Connection option that is no token", hosted("Connection: a b"), "REQUEST_MALFORMED"],
  ["TLS on a plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "REQUEST_MALFORMED"],
  ["a target above its limit", line(`GET /${"a".repeat(LIMITS.targetBytes)} HTTP/1.1`), "TARGET_TOO_LONG"],
  ["a target without an end", `GET /${"a".repeat(LIMITS.targetBytes + 1000)}`, "TARGET_TOO_LONG"],
  ["a header line above its limit", hosted(`X-A: ${"a".repeat(LIMITS.headerLineBytes)}`), "HEADERS_TOO_LARGE"],
  ["a header line without an end", `GET / HTTP/1.1\r\nHost: a\r\nX-A: ${"a".repeat(LIMITS.headerLineBytes + 10)}`, "HEADERS_TOO_LARGE"],
  ["headers above their limit", hosted(...Array.from({ length: 40 }, (_, i) => `X-${i}: ${"a".repeat(1000)}`)), "HEADERS_TOO_LARGE"],
  ["headers without an end", `GET / HTTP/1.1\r\n${`X-A: ${"a".repeat(1000)}\r\n`.repeat(33)}`, "HEADERS_TOO_LARGE"],
  ["too many headers", hosted(...Array.from({ length: 100 }, (_, i) => `X-${i}: 1`)), "HEADERS_TOO_LARGE"],
  ["a body above its limit", post(`Content-Length: ${LIMITS.bodyBytes + 1}`), "BODY_TOO_LARGE"],
  ["a chunk size that overflows 64 bits", chunked("10000000000000005\r\nhello\r\n0\r\n\r\n"), "CHUNK_MALFORMED"],
  ["a chunk size with a prefix", chunked("0x5\r\nhello\r\n0\r\n\r\n"), "CHUNK_MALFORMED"],
  ["a negative chunk size", chunked("-5\r\nhello\r\n0\r\n\r\n"), "CHUNK_MALFORMED"],
  ["an empty chunk size", chunked("\r\nhello\r\n0\r\n\r\n"), "CHUNK_MALFORMED"],
  ["a space behind a chunk size", chunked("5 \r\nhello\r\n0\r\n\r\n"), "CHUNK_MALFORMED"],
  ["a space before a chunk size", chunked(" 5\r\nhello\r\n0\r\n\r\n"), "CHUNK_MALFORMED"],
  ["a chunk size ended by LF", chunked("5\nhello\r\n0\r\n\r\n"), "CHUNK_MALFORMED"],
  ["a chunk ended by LF", chunked("5\r\nhello\n0\r\n\r\n"), "CHUNK_MALFORMED"],
  ["a chunk longer than its size", chunked("5\r\nhelloX\r\n0\r\n\r\n"), "CHUNK_MALFORMED"],
  ["a bare CR in a chunk extension", chunked("5;a\rb\r\nhello\r\n0\r\n\r\n"), "CHUNK_MALFORMED"],
  ["a bare LF in a chunk extension", chunked("5;a\nb\r\nhello\r\n0\r\n\r\n"), "CHUNK_MALFORMED"],
  ["an empty chunk extension", chunked("5;\r\nhello\r\n0\r\n\r\n"), "CHUNK_MALFORMED"],
  ["an unclosed quote in a chunk extension", chunked('5;a="b\r\nhello\r\n0\r\n\r\n'), "CHUNK_MALFORMED"],
  ["a flood of chunk extensions", chunked(`1;${"a".repeat(5000)}\r\nh\r\n0\r\n\r\n`), "CHUNK_MALFORMED"],
  ["a flood of small chunk extensions", chunked(`${`1;${"a".repeat(100)}\r\nh\r\n`.repeat(60)}0\r\n\r\n`), "CHUNK_MALFORMED"],
  ["a malformed trailer", chunked("0\r\nX A: 1\r\n\r\n"), "CHUNK_MALFORMED"],
  ["a Content-Length in the trailers", chunked("0\r\nContent-Length: 5\r\n\r\n"), "CHUNK_MALFORMED"],
  ["a Transfer-Encoding in the trailers", chunked("0\r\nTransfer-Encoding: chunked\r\n\r\n"), "CHUNK_MALFORMED"],
  ["a folded trailer", chunked("0\r\nX-A: 1\r\n 2\r\n\r\n"), "CHUNK_MALFORMED"],
  ["a bare LF in the trailers", chunked("0\r\nX-A: 1\n\r\n"), "CHUNK_MALFORMED"],
  ["a bare LF behind the last chunk", chunked("0\r\n\n"), "CHUNK_MALFORMED"],
  ["trailers above their limit", chunked(`0\r\n${`X-A: ${"a".repeat(1000)}\r\n`.repeat(33)}\r\n`), "HEADERS_TOO_LARGE"],
];

for (const [name, request, code] of ATTACKS) {
  test(`${name}: ${ERRORS[code].status} ${code}, and nothing behind it is served`, async () => {
    const before = harness.seen.length;
    // The request smuggled behind is there only when the first has an end of its own to stand behind.
    const smuggled = /(?:\r\n\r\n|hello)$/.test(request) ? "GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n" : "";
    const received = await ask(harness, request + smuggled);
    assert.match(received, new RegExp(`^HTTP/1\\.1 ${ERRORS[code].status} `));
    assert.match(received, new RegExp(`\\r\\nsluice-error: ${code}\\r\\n`));
    assert.match(received, /\r\nconnection: close\r\n/);
    assert.equal(received.split("HTTP/1.1 ").length, 2);
    assert.deepEqual(
      harness.seen
        .slice(before)
        .map((exchange) => exchange.target)
        .filter((target) => target === "/smuggled"),
      [],
    );
    assert.match(await ask(harness, INNOCENT), /^HTTP\/1\.1 200 /);
  });
}

test("what is refused is refused however it is split, and byte by byte", async () => {
  for (const [name, request, code] of ATTACKS) {
    if (request.length > 400) continue;
    const client = await harness.connect({ noDelay: true });
    for (const byte of request) {
      if (client.ended || client.socket.writableEnded) break;
      client.send(byte);
    }
    assert.match(await client.whole(), new RegExp(`sluice-error: ${code}`), name);
    client.socket.destroy();
  }
});

test("an ordinary request passes each check that refuses its twisted twin", async () => {
  for (const request of [
    post("Content-Length: 5") + "hello",
    post("transfer-ENCODING: Chunked") + '5;a=b;c="d \\" e"\r\nhello\r\n00\r\nX-A: 1\r\n\r\n',
    hosted("X-A: \xe9\t \x80\xff", "X-Empty:"),
    get("host: [2001:DB8::1]:8080"),
    get("Host: 192.0.2.1"),
    get("Host: a.example.:8080"),
    "GET HTTP://A.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n",
    line("PROPFIND /a HTTP/1.1"),
    line('GET /"quoted"|{x}?q=^`\\ HTTP/1.1'),
    "\r\n" + hosted(),
    "GET / HTTP/1.0\r\n\r\n",
    post("Content-Length: 0003") + "abc",
  ]) {
    const client = await harness.connect();
    client.send(request);
    assert.match(await client.until((received) => received.includes("\r\n\r\n")), /^HTTP\/1\.1 200 /, JSON.stringify(request));
    client.socket.destroy();
  }
});
