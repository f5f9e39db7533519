/** Ways to spoil a message. Text is Latin-1: one character, one byte. */
import type { Random } from "./random.ts";

/** Longer texts are cut: what is searched is grammar, and limits are met by the dictionary's long words. */
const LONGEST = 64 * 1024;

const WORDS: readonly string[] = [
  "\r\n",
  "\n",
  "\r",
  "\r\r\n",
  "\n\r\n",
  "\r\n\r\n",
  "\r\n ",
  "\r\n\t",
  "\0",
  "\x0b",
  "\x7f",
  "\x80",
  "\xff",
  " ",
  "\t",
  ":",
  " :",
  ";",
  ",",
  '"',
  "\\",
  "#",
  "*",
  "//",
  "http://a.example/",
  "https://b",
  "HTTP/1.1",
  "HTTP/1.0",
  "HTTP/0.9",
  "HTTP/2.0",
  "http/1.1",
  "HTTP/1.1 100 Continue\r\n\r\n",
  "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n",
  "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
  "HTTP/1.1 204 No Content\r\n",
  "HTTP/1.1 304 Not Modified\r\n",
  "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
  "CONNECT a:1 HTTP/1.1\r\n",
  "Host: a.example\r\n",
  "Host: b.example\r\n",
  "Content-Length: 0\r\n",
  "Content-Length: 5\r\n",
  "Content-Length: 5, 5\r\n",
  "Content-Length: +5\r\n",
  "Content-Length:\r\n",
  "Content-Length: 18446744073709551615\r\n",
  "Content-Length: 9007199254740993\r\n",
  "Content_Length: 5\r\n",
  "Transfer-Encoding: chunked\r\n",
  "Transfer-Encoding: identity\r\n",
  "Transfer-Encoding: gzip, chunked\r\n",
  "Transfer-Encoding: chunked, chunked\r\n",
  "Transfer-Encoding : chunked\r\n",
  "Transfer-Encoding:\x0bchunked\r\n",
  "Transfer-Encoding: x\r\n chunked\r\n",
  "transfer-encoding: \xe7hunked\r\n",
  "Connection: close\r\n",
  "Connection: keep-alive\r\n",
  "Connection: upgrade\r\nUpgrade: websocket\r\n",
  "Connection: upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n",
  "Connection: host, content-length\r\n",
  "Connection: cl\0ose\r\n",
  "Expect: 100-continue\r\n",
  "Expect: 200-ok\r\n",
  "TE: trailers\r\n",
  "Trailer: host\r\n",
  "Keep-Alive: timeout=5\r\n",
  "0\r\n\r\n",
  "1\r\na\r\n",
  "0;x\r\n\r\n",
  ";a=b",
  ';a="b\\"c"',
  ";\r\n",
  "ffffffffffffffff\r\n",
  "10000000000000000\r\n",
  "-1\r\n",
  "0x5\r\n",
  "00000000000005\r\n",
  "X: ".padEnd(17_000, "y"),
  "/".padEnd(9_000, "p"),
  "X-N: 1\r\n".repeat(110),
];

type Mutator = (text: string, random: Random, other: string) => string;

const replaceByte: Mutator = (text, random) => {
  const at = random.below(text.length);
  return text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at + 1);
};
const flipBit: Mutator = (text, random) => {
  const at = random.below(text.length);
  return text.slice(0, at) + String.fromCharCode((text.charCodeAt(at) || 0) ^ (1 << random.below(8))) + text.slice(at + 1);
};
const insertByte: Mutator = (text, random) => {
  const at = random.below(text.length + 1);
  return text.slice(0, at) + String.fromCharCode(random.below(256)) + text.slice(at);
};
const deleteBytes: Mutator = (text, random) => {
  const at = random.below(text.length);
  return text.slice(0, at) + text.slice(at + 1 + random.below(4));
};
const insertWord: Mutator = (text, random) => {
  const at = random.below(text.length + 1);
  return text.slice(0, at) + random.of(WORDS) + text.slice(at);
};
/** At a line's end: a field among fields, a chunk among chunks. */
const insertLine: Mutator = (text, random) => {
  const at = lineStarts(text);
  const where = random.of(at);
  return text.slice(0, where) + random.of(WORDS) + text.slice(where);
};
const replaceByWord: Mutator = (text, random) => {
  const at = random.below(text.length);
  return text.slice(0, at) + random.of(WORDS) + text.slice(at + 1 + random.below(8));
};
const repeatPiece: Mutator = (text, random) => {
  const at = random.below(text.length);
  const end = at + 1 + random.below(40);
  return text.slice(0, end) + text.slice(at, end).repeat(1 + random.below(3)) + text.slice(end);
};
const repeatLine: Mutator = (text, random) => {
  const [from, to] = lineOf(text, random);
  return text.slice(0, to) + text.slice(from, to) + text.slice(to);
};
const moveLine: Mutator = (text, random) => {
  const [from, to] = lineOf(text, random);
  const without = text.slice(0, from) + text.slice(to);
  const at = random.of(lineStarts(without));
  return without.slice(0, at) + text.slice(from, to) + without.slice(at);
};
const dropLine: Mutator = (text, random) => {
  const [from, to] = lineOf(text, random);
  return text.slice(0, from) + text.slice(to);
};
const splice: Mutator = (text, random, other) => text.slice(0, random.below(text.length + 1)) + other.slice(random.below(other.length + 1));
const append: Mutator = (text, _random, other) => text + other;
const cutShort: Mutator = (text, random) => text.slice(0, random.below(text.length + 1));
const turnCase: Mutator = (text, random) => {
  const [from, to] = lineOf(text, random);
  const line = text.slice(from, to);
  return text.slice(0, from) + (random.below(2) === 0 ? line.toUpperCase() : line.toLowerCase()).replaceAll(/[^\0-\xff]/g, "?") + text.slice(to);
};
const NUMBER = /[0-9a-f]+/gi;
/** Lengths, chunk sizes, versions, status codes. */
const changeNumber: Mutator = (text, random) => {
  const numbers = [...text.slice(0, 4_096).matchAll(NUMBER)];
  if (numbers.length === 0) return text;
  const { 0: digits, index } = random.of(numbers);
  const to = random.of([
    `0${digits}`,
    `${digits}0`,
    `+${digits}`,
    `-${digits}`,
    `0x${digits}`,
    `${digits} `,
    ` ${digits}`,
    "0",
    "1",
    "ffffffff",
    (Number.parseInt(digits, 16) + 1).toString(16),
    `${digits}, ${digits}`,
  ]);
  return text.slice(0, index) + to + text.slice(index + digits.length);
};
/** What stands behind the head becomes a chunked body, with one of the ways in which such framing goes wrong. */
const chunkBody: Mutator = (text, random) => {
  const end = text.indexOf("\r\n\r\n");
  if (end < 0) return text;
  let left = text.slice(end + 4, end + 4 + 256) || "hello";
  let coded = "";
  while (left !== "") {
    const piece = left.slice(0, 1 + random.below(32));
    left = left.slice(piece.length);
    const size = random.below(12) === 0 ? piece.length + random.below(3) - 1 : piece.length;
    coded += `${"0".repeat(random.below(8) === 0 ? random.below(14) : 0)}${size.toString(16)}${random.below(6) === 0 ? random.of([";a", ";a=b", '; a="b"', " ", ";", "\t"]) : ""}${lineEnd(random)}${piece}${lineEnd(random)}`;
  }
  coded += `0${lineEnd(random)}${random.of(["", "", "X-T: 1\r\n", "Host: x\r\n", "X T: 1\r\n", "\n"])}${lineEnd(random)}`;
  const head = text.slice(0, end + 2).replaceAll(/(?:content-length|transfer-encoding):[^\n]*\n/gi, "");
  return `${head}Transfer-Encoding: chunked\r\n\r\n${coded}`;
};

function lineEnd(random: Random): string {
  return random.below(24) === 0 ? random.of(["\n", "\r", "", "\r\r\n", " \r\n", "\n\r"]) : "\r\n";
}

const MUTATORS: readonly Mutator[] = [
  replaceByte,
  flipBit,
  insertByte,
  deleteBytes,
  insertWord,
  insertLine,
  insertLine,
  replaceByWord,
  repeatPiece,
  repeatLine,
  moveLine,
  dropLine,
  splice,
  append,
  cutShort,
  turnCase,
  changeNumber,
  changeNumber,
  chunkBody,
];

/** One to four of the ways above. */
export function mutate(text: string, random: Random, other: string): string {
  let at = text;
  for (let times = 1 + random.below(4); times > 0; times--) at = random.of(MUTATORS)(at, random, other).slice(0, LONGEST);
  return at;
}

function lineStarts(text: string): number[] {
  const starts = [0];
  for (let at = text.indexOf("\n"); at >= 0 && starts.length < 200; at = text.indexOf("\n", at + 1)) starts.push(at + 1);
  return starts;
}

function lineOf(text: string, random: Random): [from: number, to: number] {
  const starts = lineStarts(text);
  const from = random.of(starts);
  const end = text.indexOf("\n", from);
  return [from, end < 0 ? text.length : end + 1];
}
