/** Requests as our grammar reads them beside how llhttp does: every difference must be a listed one, on the strict side. */
import { ChunkedDecoder, parseRequestHead, type WireLimits } from "../../runtime/proxy/http1/grammar.ts";
import { PartialHead } from "../../runtime/proxy/http1/partial-head.ts";
import { llhttpRequests, type Message } from "./llhttp.ts";

export const LIMITS: WireLimits = { targetBytes: 8192, headerLineBytes: 16384, headerBytes: 32768, headers: 100 };

export interface Compared {
  /** What is wrong, or "". */
  readonly difference: string;
  /** The kind of case that it was: the same for texts that are read alike, so that a new one is worth keeping. */
  readonly kind: string;
}

interface Ours extends Pick<Message, "method" | "target" | "fields" | "keepAlive" | "upgrade" | "body" | "complete"> {
  /** Where the next one begins. */
  readonly end: number;
}

/** What ours refuses and llhttp takes, and why. */
const STRICTER: readonly [pattern: RegExp, reason: string][] = [
  [/^HOST_INVALID/, "llhttp does not look at Host; RFC 9112 section 3.2 demands exactly one valid one"],
  [/^METHOD_UNSUPPORTED/, "CONNECT and TRACE are valid, but not for a reverse proxy"],
  [/^VERSION_UNSUPPORTED/, "llhttp also takes HTTP/0.9 and 2.0"],
  [/^(?:TARGET_TOO_LONG|HEADERS_TOO_LARGE)/, "llhttp has one limit for the whole head, and none here"],
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
  [/^CHUNK_MALFORMED: more than \d+ bytes of chunk extensions/, "llhttp has no such limit"],
  [/^CHUNK_MALFORMED: a trailer that speaks of framing/, "llhttp takes a Content-Length of digits"],
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

/** Said in trailers, it closes llhttp's connection; ours reads no control from trailers (RFC 9110 section 6.5.1), and what follows is framed by itself. */
const CLOSED_BY_TRAILER = /\r\n0+[^\r\n]*\r\n(?:[^\r\n]+\r\n)*connection[ \t]*:[^\r\n]*(?:close|keep-alive)/i;

/** Compares every request of `text`, up to the first that ends the connection; and reads it in `pieces` (sizes, taken in turn) too. */
export function compareRequests(text: string, pieces: readonly number[] = []): Compared {
  const { messages: theirs, error } = llhttpRequests(text);
  const kinds: string[] = [error];
  let rest = text;
  for (let n = 0; ; n++) {
    const read = readRequest(rest, []);
    kinds.push(
      typeof read === "string"
        ? read.replaceAll(/"(?:[^"\\]|\\.)*"|\d+/g, "#")
        : read === null
          ? "waits"
          : `${read.fields.length} ${read.complete} ${read.keepAlive}`,
    );
    if (error === "HPE_CLOSED_CONNECTION" && theirs[n] === undefined && CLOSED_BY_TRAILER.test(text)) return { difference: "", kind: kinds.join("|") };
    const difference = compareOne(rest, read, theirs[n] ?? null, n === theirs.length - 1 || theirs[n] === undefined ? error : "");
    const cut = difference === "" && pieces.length > 0 ? compareCut(rest, read, pieces) : difference;
    const last =
      typeof read === "string" || read === null || !read.complete || !read.keepAlive || read.upgrade || (theirs[n]?.upgrade ?? true) || read.end >= rest.length;
    if (cut !== "" || last) return { difference: cut === "" ? "" : `request ${n + 1}: ${cut}`, kind: kinds.join("|") };
    rest = rest.slice(read.end);
  }
}

function compareOne(text: string, read: Ours | string | null, theirs: Message | null, error: string): string {
  if (typeof read === "string") {
    // Ours refuses: llhttp does, too, or the reason is listed.
    const agree = error !== "" && !theirs?.complete;
    // It leaves what stands behind an upgrade's head to the other protocol; ours takes no upgrade with a body, and reads it.
    if (agree || theirs?.upgrade || !REQUEST_LINE.test(text) || STRICTER.some(([pattern]) => pattern.test(read))) return "";
    return `ours refuses (${read}), llhttp takes it`;
  }
  if (read === null) return theirs === null ? "" : "ours waits, llhttp has a message";
  if (theirs === null || (error !== "" && !theirs.complete)) {
    // Trailers are judged when they have come whole: whatever follows, ours takes no such request either.
    if (!read.complete && typeof readRequest(`${text}\r\n\r\n`, []) === "string") return "";
    return LAXER.some(([holds]) => holds(text)) ? "" : `ours takes, llhttp refuses (${error})`;
  }
  // Both take it: then they read the same.
  if (read.method !== theirs.method) return `method ${read.method}, llhttp's ${theirs.method}`;
  if ((theirs.target.startsWith("/") || theirs.target === "*") && read.target !== theirs.target) return `target ${read.target}, llhttp's ${theirs.target}`;
  if (theirs.upgrade) return compareFields(read.fields, theirs.fields);
  if (read.body !== theirs.body) return "different bodies";
  if (read.complete !== theirs.complete) return "different ends";
  if (read.keepAlive && !theirs.keepAlive) return "ours keeps the connection, llhttp does not";
  return compareFields(read.fields, theirs.fields);
}

/** Every field that ours passes on, llhttp has read, too. */
export function compareFields(ours: readonly string[], theirs: readonly string[]): string {
  for (let i = 0; i < ours.length; i += 2) {
    let found = false;
    for (let j = 0; j < theirs.length && !found; j += 2) found = theirs[j + 1] === ours[i + 1] && theirs[j]!.toLowerCase() === ours[i];
    if (!found) return `field ${ours[i]} differs`;
  }
  return "";
}

/** Bytes that come in pieces are read as those that come at once. Which refusal is met first may differ. */
function compareCut(text: string, whole: Ours | string | null, pieces: readonly number[]): string {
  const cut = readRequest(text, pieces);
  if (typeof whole === "string" || typeof cut === "string") return typeof whole === typeof cut ? "" : `whole: ${outcome(whole)}, in pieces: ${outcome(cut)}`;
  return JSON.stringify(whole) === JSON.stringify(cut) ? "" : `read otherwise in pieces of ${pieces.join()}`;
}

function outcome(read: Ours | string | null): string {
  return typeof read === "string" ? read : read === null ? "waits" : "taken";
}

/** The first request of `text` as our grammar reads it, why it is refused, or null while more is needed. */
function readRequest(text: string, pieces: readonly number[]): Ours | string | null {
  const bytes = Buffer.from(text, "latin1");
  const partial = new PartialHead();
  let at = 0;
  let turn = 0;
  const next = (from: number): number => (pieces.length === 0 ? bytes.length : Math.min(bytes.length, from + pieces[turn++ % pieces.length]!));
  let to = next(0);
  let taken = partial.take(bytes, 0, to, LIMITS);
  while (taken === null && to < bytes.length) {
    at = to;
    to = next(at);
    taken = partial.take(bytes, at, to, LIMITS);
  }
  if (taken === null) return null;
  const head = typeof taken === "string" ? parseRequestHead(taken, LIMITS) : taken;
  if (head.refused !== null) return `${head.refused}: ${head.detail}`;
  at = partial.at;
  const { method, target, fields, keepAlive } = head;
  const upgrade = head.upgradeProtocol !== "";
  if (head.bodyLength >= 0) {
    const body = bytes.toString("latin1", at, Math.min(bytes.length, at + head.bodyLength));
    return { method, target, fields, keepAlive, upgrade, body, complete: body.length === head.bodyLength, end: at + body.length };
  }
  const decoder = new ChunkedDecoder(LIMITS);
  let body = "";
  for (;;) {
    const step = decoder.next(bytes, at, to);
    at = decoder.at;
    if (step === "data") body += bytes.toString("latin1", decoder.dataStart, decoder.dataEnd);
    else if (step === "refused") return `${decoder.refusal!.refused}: ${decoder.refusal!.detail}`;
    else if (step === "end") return { method, target, fields, keepAlive, upgrade, body, complete: true, end: at };
    else if (to >= bytes.length) return { method, target, fields, keepAlive, upgrade, body, complete: false, end: at };
    else to = next(at);
  }
}
