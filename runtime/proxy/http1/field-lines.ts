/**
 * The field section of a message head or trailer (RFC 9112 section 5): checked once as a whole by one regular
 * expression, then cut into names and values. Fields that speak about this connection or this message's framing are
 * taken out here and kept apart; what remains in `list` is end-to-end.
 */
import type { ErrorCode } from "../../errors.ts";
import type { LimitsConfig } from "../../config/resolved.ts";

export type WireLimits = Pick<LimitsConfig, "targetBytes" | "headerLineBytes" | "headerBytes" | "headers">;

/** What was found wrong. A plain object, not an error: throwing costs a stack (about 3 µs), and hostile input must stay cheap. */
export interface Refusal {
  readonly refused: ErrorCode;
  readonly detail: string;
}

export function refusal(refused: ErrorCode, detail: string): Refusal {
  return { refused, detail };
}

type Role = "plain" | "host" | "content-length" | "transfer-encoding" | "connection" | "keep-alive" | "upgrade" | "expect" | "dropped";

interface KnownName {
  readonly lower: string;
  readonly role: Role;
}

interface Spelling extends KnownName {
  readonly written: string;
}

/** By name in lowercase. */
const KNOWN = new Map<string, KnownName>();
/**
 * The usual spellings by length and first letter, compared where they stand in the head: a name that is found costs no string of its own.
 * Cutting it out and asking a Map with it took 0.1 µs more for each field, nearly all of it for the new string's hash.
 */
const SPELLINGS: Spelling[][] = Array.from({ length: 64 * 32 }, () => []);

function know(role: Role, names: string): void {
  for (const lower of names.split(" ")) {
    KNOWN.set(lower, { lower, role });
    spell(
      lower.replace(/(^|-)[a-z]/g, (start) => start.toUpperCase()),
      lower,
    );
    spell(lower, lower);
  }
}

function spell(written: string, lower: string): void {
  const spellings = SPELLINGS[shapeOf(written.length, written.charCodeAt(0))]!;
  if (!spellings.some((other) => other.written === written)) spellings.push({ written, ...KNOWN.get(lower)! });
}

function shapeOf(length: number, first: number): number {
  return ((length & 63) << 5) | (first & 31);
}

know("host", "host");
know("content-length", "content-length");
know("transfer-encoding", "transfer-encoding");
know("connection", "connection");
know("keep-alive", "keep-alive");
know("upgrade", "upgrade");
know("expect", "expect");
// TE speaks of this connection only; Proxy-Connection never had a meaning that two implementations agreed on (RFC 9112 appendix C.2.2).
// HTTP2-Settings belongs to the h2c upgrade, which is never taken.
know("dropped", "te proxy-connection http2-settings");
know(
  "plain",
  "accept accept-charset accept-encoding accept-language accept-ranges access-control-allow-credentials " +
    "access-control-allow-headers access-control-allow-methods access-control-allow-origin access-control-expose-headers " +
    "access-control-max-age access-control-request-headers access-control-request-method age allow alt-svc authorization " +
    "cache-control cache-status content-disposition content-encoding content-language content-location content-range " +
    "content-security-policy content-type cookie date dnt etag expires forwarded from if-match if-modified-since " +
    "if-none-match if-range if-unmodified-since last-modified link location origin permissions-policy pragma priority " +
    "proxy-authenticate proxy-authorization range referer referrer-policy retry-after sec-ch-ua sec-ch-ua-mobile " +
    "sec-ch-ua-platform sec-fetch-dest sec-fetch-mode sec-fetch-site sec-fetch-user sec-gpc sec-websocket-accept " +
    "sec-websocket-extensions sec-websocket-key sec-websocket-protocol sec-websocket-version server server-timing " +
    "set-cookie strict-transport-security timing-allow-origin traceparent tracestate trailer upgrade-insecure-requests " +
    "user-agent vary via warning www-authenticate x-content-type-options x-correlation-id x-forwarded-for " +
    "x-forwarded-host x-forwarded-port x-forwarded-proto x-frame-options x-powered-by x-real-ip x-request-id " +
    "x-requested-with x-xss-protection",
);
for (const [written, lower] of [
  ["ETag", "etag"],
  ["DNT", "dnt"],
  ["TE", "te"],
  ["WWW-Authenticate", "www-authenticate"],
  ["X-XSS-Protection", "x-xss-protection"],
  ["HTTP2-Settings", "http2-settings"],
] as const) {
  spell(written, lower);
}

/**
 * Every line `token ":" *( HTAB / SP / VCHAR / obs-text ) CRLF`, then the blank line (RFC 9112 section 5, RFC 9110 section 5.5).
 * One look refuses at once: bare CR, bare LF, NUL and other control bytes, DEL, space before the colon, obs-fold, leading
 * white space, an empty name, a line without colon. No alternative overlaps another, so it runs in linear time.
 */
const FIELD_SECTION = /(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n/y;

const HTAB = 9;
const SP = 32;
/** Around Transfer-Encoding a tab is blank space by RFC 9110 section 5.6.3, and part of another coding's name to llhttp: it stays, and is refused. */
const OUTER_SPACES = /^ +| +$/g;

/** Result of the last `readFieldLines`. One object serves every call: a parse never waits for anything. */
class FieldLines {
  list: string[] = [];
  hosts = 0;
  host = "";
  contentLengths = 0;
  contentLength = "";
  transferEncodings = 0;
  transferEncoding = "";
  /** All Connection values joined by ",". */
  connection = "";
  keepAlive = "";
  upgrades = 0;
  upgrade = "";
  /** All Expect values joined by ",", or null. */
  expect: string | null = null;

  clear(): void {
    this.list = [];
    this.hosts = this.contentLengths = this.transferEncodings = this.upgrades = 0;
    this.host = this.contentLength = this.transferEncoding = this.connection = this.keepAlive = this.upgrade = "";
    this.expect = null;
  }

  /** Takes out of `list` the fields that Connection names (RFC 9110 section 7.6.1). Refuses an option that is no token. */
  takeConnectionOptions(): ConnectionOptions | Refusal {
    const options: ConnectionOptions = { refused: null, close: false, keepAlive: false, upgrade: false };
    if (this.connection === "") return options;
    for (const part of this.connection.split(",")) {
      const option = part.replace(OUTER_BLANKS, "").toLowerCase();
      if (option === "close") options.close = true;
      else if (option === "keep-alive") options.keepAlive = true;
      else if (option === "upgrade") options.upgrade = true;
      else if (option === "") continue;
      else if (!TOKEN.test(option)) return refusal("REQUEST_MALFORMED", `Connection holds ${JSON.stringify(option)}, which is no token`);
      else this.#drop(option);
    }
    return options;
  }

  /** The length that Content-Length declares, -1 without the field, or a refusal in the caller's code. */
  declaredLength(malformed: ErrorCode, ambiguous: ErrorCode): number | Refusal {
    if (this.contentLengths === 0) return -1;
    // Identical repeats could be merged (RFC 9112 section 6.3), but an honest sender has no reason for them.
    if (this.contentLengths > 1) return refusal(ambiguous, "Content-Length is repeated");
    if (!DIGITS.test(this.contentLength)) {
      const list = this.contentLength.includes(",");
      return refusal(list ? ambiguous : malformed, `Content-Length is ${JSON.stringify(this.contentLength.slice(0, 64))}, expected digits`);
    }
    const length = Number(this.contentLength);
    if (length > Number.MAX_SAFE_INTEGER) return refusal(malformed, `Content-Length ${this.contentLength} overflows`);
    return length;
  }

  #drop(name: string): void {
    const list = this.list;
    let kept = 0;
    for (let i = 0; i < list.length; i += 2) {
      if (list[i] === name) continue;
      list[kept] = list[i]!;
      list[kept + 1] = list[i + 1]!;
      kept += 2;
    }
    list.length = kept;
  }
}

export interface ConnectionOptions {
  readonly refused: null;
  close: boolean;
  keepAlive: boolean;
  upgrade: boolean;
}

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const DIGITS = /^[0-9]{1,16}$/;
const OUTER_BLANKS = /^[\t ]+|[\t ]+$/g;

export const fieldLines = new FieldLines();

/** Reads the lines of `head` from `start` to its end (which must be the blank line) into `fieldLines`. */
export function readFieldLines(head: string, start: number, limits: WireLimits): Refusal | null {
  const lines = fieldLines;
  lines.clear();
  if (head.length - start > limits.headerBytes)
    return refusal("HEADERS_TOO_LARGE", `${head.length - start} bytes of fields, at most ${limits.headerBytes} allowed`);
  FIELD_SECTION.lastIndex = start;
  if (!FIELD_SECTION.test(head) || FIELD_SECTION.lastIndex !== head.length) return explain(head, start);
  const list = lines.list;
  const end = head.length - 2;
  const maxLine = limits.headerLineBytes;
  let left = limits.headers;
  let at = start;
  while (at < end) {
    const colon = head.indexOf(":", at);
    const lineEnd = head.indexOf("\r", colon);
    if (lineEnd - at > maxLine) return refusal("HEADERS_TOO_LARGE", `a header line of ${lineEnd - at} bytes, at most ${maxLine} allowed`);
    if (--left < 0) return refusal("HEADERS_TOO_LARGE", `more than ${limits.headers} headers`);
    let from = colon + 1;
    let to = lineEnd;
    let code: number;
    while (from < to && ((code = head.charCodeAt(from)) === SP || code === HTAB)) from++;
    while (from < to && ((code = head.charCodeAt(to - 1)) === SP || code === HTAB)) to--;
    const value = head.slice(from, to);
    const known = knownAt(head, at, colon);
    if (known === undefined) list.push(head.slice(at, colon).toLowerCase(), value);
    else if (known.role === "plain") list.push(known.lower, value);
    else keepApart(lines, known.role, known.role === "transfer-encoding" ? head.slice(colon + 1, lineEnd).replace(OUTER_SPACES, "") : value);
    at = lineEnd + 2;
  }
  return null;
}

function knownAt(head: string, at: number, colon: number): KnownName | undefined {
  const length = colon - at;
  const spellings = SPELLINGS[shapeOf(length, head.charCodeAt(at))]!;
  for (let i = 0; i < spellings.length; i++) {
    const spelling = spellings[i]!;
    if (spelling.written.length === length && head.startsWith(spelling.written, at)) return spelling;
  }
  return KNOWN.get(head.slice(at, colon).toLowerCase());
}

function keepApart(lines: FieldLines, role: Role, value: string): void {
  switch (role) {
    case "host":
      lines.hosts++;
      lines.host = value;
      break;
    case "content-length":
      lines.contentLengths++;
      lines.contentLength = value;
      break;
    case "transfer-encoding":
      lines.transferEncodings++;
      lines.transferEncoding = value;
      break;
    case "connection":
      lines.connection = lines.connection === "" ? value : `${lines.connection},${value}`;
      break;
    case "keep-alive":
      lines.keepAlive = value;
      break;
    case "upgrade":
      lines.upgrades++;
      lines.upgrade = value;
      break;
    case "expect":
      lines.expect = lines.expect === null ? value : `${lines.expect},${value}`;
      break;
    case "dropped":
    case "plain":
      break;
  }
}

const GOOD_LINE = /[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n/y;

/** Slow path: which line broke the grammar. The detail goes to the log only. */
function explain(head: string, start: number): Refusal {
  let at = start;
  for (;;) {
    GOOD_LINE.lastIndex = at;
    if (!GOOD_LINE.test(head)) break;
    at = GOOD_LINE.lastIndex;
  }
  return refusal("REQUEST_MALFORMED", `header line ${JSON.stringify(head.slice(at, at + 80))} breaks the grammar`);
}
