/**
 * Parsing heads and chunked bodies. `node --conditions=sluice-source bench/micro/http1-parse.ts`
 * Goal: a request head of six fields, Latin-1 conversion included, in 1.5 µs or less.
 */
import { createRequire } from "node:module";
import { bench, group, run } from "mitata";
import { ChunkedDecoder, parseRequestHead, parseResponseHead } from "../../runtime/proxy/http1/grammar.ts";
import { PartialHead } from "../../runtime/proxy/http1/partial-head.ts";

const { HTTPParser } = createRequire(import.meta.url)("_http_common") as {
  HTTPParser: {
    new (): { initialize(type: number, resource: object): void; execute(bytes: Buffer): unknown; [callback: number]: unknown };
    REQUEST: number;
    kOnHeadersComplete: number;
  };
};

const LIMITS = { targetBytes: 8192, headerLineBytes: 16384, headerBytes: 32768, headers: 100 };
const SIX =
  "GET /products/12?x=1 HTTP/1.1\r\nHost: shop.example.com\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36\r\n" +
  "Accept: text/html,application/xhtml+xml\r\nAccept-Encoding: gzip, deflate, br\r\nCookie: sid=abcdef0123456789\r\nConnection: keep-alive\r\n\r\n";
const WRK = "GET / HTTP/1.1\r\nHost: 127.0.0.1:8080\r\n\r\n";
const ODD = SIX.replace("Accept:", "aCCEPT:").replace("Cookie", "X-My-Own");
const RESPONSE =
  'HTTP/1.1 200 OK\r\nServer: nginx\r\nDate: Sat, 21 Nov 2026 04:00:00 GMT\r\nContent-Type: text/html\r\nContent-Length: 930\r\nConnection: keep-alive\r\nETag: "abc"\r\n\r\n';
const sixBytes = Buffer.from(SIX, "latin1");
const chunkedBytes = Buffer.from(`${`400\r\n${"x".repeat(1024)}\r\n`.repeat(16)}0\r\n\r\n`);

group("request head", () => {
  bench("parseRequestHead, six fields", () => parseRequestHead(SIX, LIMITS));
  bench("parseRequestHead, Host alone", () => parseRequestHead(WRK, LIMITS));
  bench("parseRequestHead, names in odd case", () => parseRequestHead(ODD, LIMITS));
  const head = new PartialHead();
  bench("bytes to head to RequestHead, six fields", () => parseRequestHead(head.take(sixBytes, 0, sixBytes.length, LIMITS) as string, LIMITS));
  const parser = new HTTPParser();
  bench("llhttp, six fields", () => {
    parser.initialize(HTTPParser.REQUEST, {});
    parser[HTTPParser.kOnHeadersComplete] = () => 0;
    return parser.execute(sixBytes);
  });
});
group("response head", () => {
  bench("parseResponseHead, six fields", () => parseResponseHead(RESPONSE, LIMITS));
});
group("chunked", () => {
  bench("ChunkedDecoder, 16 chunks of 1 KiB", () => {
    const decoder = new ChunkedDecoder(LIMITS);
    let at = 0;
    while (decoder.next(chunkedBytes, at, chunkedBytes.length) === "data") at = decoder.at;
    return at;
  });
});

await run();
