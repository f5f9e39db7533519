/**
 * Heads of HTTP/1.1 messages: strict, without a leniency switch, pure. RFC 9112 is the grammar; wherever it lets a
 * recipient be lenient, this one is not, because two readers of one connection must never disagree on where a message ends.
 * Both sides of the gateway use it. `field-lines.ts` cuts the fields, `chunked.ts` reads chunked bodies.
 */
import { parseAuthority } from "./authority.ts";
import { fieldLines, readFieldLines, refusal } from "./field-lines.ts";
import type { Refusal, WireLimits } from "./field-lines.ts";
import type { RepeatedSection } from "./repeated-section.ts";
import type { Scheme } from "../exchange.ts";

export type { Refusal, WireLimits } from "./field-lines.ts";
export { ChunkedDecoder } from "./chunked.ts";

export interface RequestHead {
  readonly refused: null;
  readonly method: string;
  /** Origin-form, or "*" for OPTIONS. As written; nothing is normalised. */
  readonly target: string;
  readonly version: "1.0" | "1.1";
  /** Lowercase host and port; "" only for HTTP/1.0 without Host. */
  readonly authority: string;
  /** Scheme of an absolute-form target, or "". */
  readonly absoluteScheme: Scheme | "";
  /** End-to-end fields: name, value, … Names in lowercase. */
  readonly fields: string[];
  /** Bytes; -1 chunked; 0 none. */
  readonly bodyLength: number;
  readonly keepAlive: boolean;
  /** The client waits for 100 (Continue) before it sends its body (RFC 9110 section 10.1.1). */
  readonly expectContinue: boolean;
  /** Protocol of a valid upgrade request, lowercase, or "". */
  readonly upgradeProtocol: string;
}

export type ResponseBodyKind = "none" | "length" | "chunked" | "close";

export interface ResponseHead {
  readonly refused: null;
  readonly status: number;
  readonly version: "1.0" | "1.1";
  readonly fields: string[];
  /** How the body ends, as if the request had been a GET. The caller knows whether it was HEAD; then there is none. */
  readonly bodyKind: ResponseBodyKind;
  /** Content-Length, or -1. */
  readonly declaredLength: number;
  readonly keepAlive: boolean;
  /** From `Keep-Alive: timeout=…`, or -1. */
  readonly keepAliveTimeoutMs: number;
  /** Protocol that a 101 switches to, lowercase, or "". */
  readonly upgradeProtocol: string;
}

const TARGET = /\/[\x21\x22\x24-\x7e]*/y;
const REQUEST_LINE = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ([\x21-\x7e]+) (HTTP\/[0-9]\.[0-9])\r\n/;
const ABSOLUTE_FORM = /^(https?):\/\/([^/?#]*)(.*)$/i;

/**
 * Parses `head`, Latin-1 text up to and including CRLF CRLF. A leading CRLF has been taken off by the caller (RFC 9112 section 2.2).
 * `before`: what the same connection sent before.
 */
export function parseRequestHead(head: string, limits: WireLimits, before: RepeatedSection | null = null): RequestHead | Refusal {
  const methodEnd = head.indexOf(" ");
  TARGET.lastIndex = methodEnd + 1;
  if (methodEnd > 0 && TARGET.test(head)) {
    const targetEnd = TARGET.lastIndex;
    if (head.startsWith(" HTTP/1.1\r\n", targetEnd) && targetEnd - methodEnd - 1 <= limits.targetBytes) {
      const method = head.slice(0, methodEnd);
      if (COMMON_METHODS.has(method)) {
        const target = head.slice(methodEnd + 1, targetEnd);
        return before === null
          ? finishRequest(head, targetEnd + 11, method, target, "1.1", "", "", limits)
          : finishRepeated(head, targetEnd + 11, method, target, before, limits);
      }
    }
  }
  return parseRareRequestLine(head, limits);
}

function finishRepeated(head: string, fieldsAt: number, method: string, target: string, before: RepeatedSection, limits: WireLimits): RequestHead | Refusal {
  const said = before.of(head, fieldsAt);
  if (said === null) {
    if (before.missed()) before.keep(head, fieldsAt, (section) => readSection(section, limits));
    return finishRequest(head, fieldsAt, method, target, "1.1", "", "", limits);
  }
  const { authority, keepAlive, expectContinue } = said;
  const fields = said.fields.slice();
  return {
    refused: null,
    method,
    target,
    version: "1.1",
    authority,
    absoluteScheme: "",
    fields,
    bodyLength: 0,
    keepAlive,
    expectContinue,
    upgradeProtocol: "",
  };
}

function readSection(section: string, limits: WireLimits): RequestHead | null {
  const said = finishRequest(section, 0, "GET", "/", "1.1", "", "", limits);
  return said.refused === null ? said : null;
}

const COMMON_METHODS = new Set(["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"]);

/** What the fast path left: HTTP/1.0, absolute-form, `*`, rare methods, and everything wrong. */
function parseRareRequestLine(head: string, limits: WireLimits): RequestHead | Refusal {
  const line = readRequestLine(head, limits);
  if (line.refused !== null) return line;
  const version = line.version;
  const afterLine = head.indexOf("\r\n") + 2;
  if (line.target.startsWith("/")) return finishRequest(head, afterLine, line.method, line.target, version, "", "", limits);
  if (line.target === "*") {
    if (line.method !== "OPTIONS") return refusal("REQUEST_MALFORMED", `target "*" with ${line.method}`);
    return finishRequest(head, afterLine, line.method, "*", version, "", "", limits);
  }
  const absolute = ABSOLUTE_FORM.exec(line.target);
  if (absolute === null)
    return refusal("REQUEST_MALFORMED", `target ${JSON.stringify(line.target.slice(0, 80))} is neither a path nor an absolute http(s) URL`);
  const authority = parseAuthority(absolute[2]!);
  if (authority === null) return refusal("HOST_INVALID", `authority ${JSON.stringify(absolute[2]!.slice(0, 80))} in the target is malformed`);
  const rest = absolute[3]!;
  // RFC 9112 section 3.2.1: an empty path is sent as "/"; for OPTIONS without path and query as "*" (section 3.2.4).
  const target = rest.startsWith("/") ? rest : rest === "" && line.method === "OPTIONS" ? "*" : `/${rest}`;
  return finishRequest(head, afterLine, line.method, target, version, authority, absolute[1]!.toLowerCase() as Scheme, limits);
}

interface RequestLine {
  readonly refused: null;
  readonly method: string;
  readonly target: string;
  readonly version: "1.0" | "1.1";
}

/** The first line of `head`, which must hold its CRLF. Also used to refuse early, before the fields have come. */
export function readRequestLine(head: string, limits: WireLimits): RequestLine | Refusal {
  const parts = REQUEST_LINE.exec(head);
  if (parts === null) return explainRequestLine(head, limits);
  const method = parts[1]!;
  const target = parts[2]!;
  const version = parts[3]!;
  if (target.length > limits.targetBytes) return refusal("TARGET_TOO_LONG", `a target of ${target.length} bytes, at most ${limits.targetBytes} allowed`);
  if (version !== "HTTP/1.1" && version !== "HTTP/1.0") return refusal("VERSION_UNSUPPORTED", `version ${version}`);
  if (method === "CONNECT" || method === "TRACE") return refusal("METHOD_UNSUPPORTED", method);
  if (target.includes("#")) return refusal("REQUEST_MALFORMED", "the target holds a fragment");
  return { refused: null, method, target, version: version === "HTTP/1.1" ? "1.1" : "1.0" };
}

function explainRequestLine(head: string, limits: WireLimits): Refusal {
  const end = head.indexOf("\r");
  const line = end < 0 ? head : head.slice(0, end);
  if (line.length > limits.targetBytes + 64) return refusal("TARGET_TOO_LONG", `a request line of ${line.length} bytes`);
  return refusal("REQUEST_MALFORMED", `request line ${JSON.stringify(line.slice(0, 80))} breaks the grammar`);
}

function finishRequest(
  head: string,
  fieldsAt: number,
  method: string,
  target: string,
  version: "1.0" | "1.1",
  absoluteAuthority: string,
  absoluteScheme: Scheme | "",
  limits: WireLimits,
): RequestHead | Refusal {
  const refusedFields = readFieldLines(head, fieldsAt, limits);
  if (refusedFields !== null) return refusedFields;
  const lines = fieldLines;
  const authority = requestAuthority(version, absoluteAuthority);
  if (typeof authority !== "string") return authority;
  const bodyLength = lines.transferEncodings === 0 && lines.contentLengths === 0 ? 0 : requestBodyLength(version);
  if (typeof bodyLength !== "number") return bodyLength;
  let keepAlive = version === "1.1";
  let upgradeProtocol = "";
  if (lines.connection !== "") {
    const options = lines.takeConnectionOptions();
    if (options.refused !== null) return options;
    if (options.close) keepAlive = false;
    else if (options.keepAlive) keepAlive = true;
    if (options.upgrade) upgradeProtocol = requestedProtocol(version, bodyLength);
  }
  let expectContinue = false;
  if (lines.expect !== null && version === "1.1") {
    if (lines.expect.toLowerCase() !== "100-continue") return refusal("EXPECTATION_FAILED", `Expect is ${JSON.stringify(lines.expect.slice(0, 80))}`);
    expectContinue = bodyLength !== 0;
  }
  return { refused: null, method, target, version, authority, absoluteScheme, fields: lines.list, bodyLength, keepAlive, expectContinue, upgradeProtocol };
}

/** RFC 9112 section 3.2: exactly one Host, valid; an absolute target must agree with it. */
function requestAuthority(version: "1.0" | "1.1", absoluteAuthority: string): string | Refusal {
  const lines = fieldLines;
  if (lines.hosts === 0) {
    if (version === "1.0") return absoluteAuthority;
    return refusal("HOST_INVALID", "HTTP/1.1 without Host");
  }
  if (lines.hosts > 1) return refusal("HOST_INVALID", "Host is repeated");
  const authority = parseAuthority(lines.host);
  if (authority === null) return refusal("HOST_INVALID", `Host ${JSON.stringify(lines.host.slice(0, 80))} is malformed`);
  // RFC 9112 section 3.2.2 lets the target win over Host; whoever reads only Host would then route elsewhere.
  if (absoluteAuthority !== "" && absoluteAuthority !== authority)
    return refusal("HOST_INVALID", `Host ${authority} differs from the target's ${absoluteAuthority}`);
  return authority;
}

/** RFC 9112 section 6.3. */
function requestBodyLength(version: "1.0" | "1.1"): number | Refusal {
  const lines = fieldLines;
  if (lines.transferEncodings === 0) return lines.declaredLength("REQUEST_MALFORMED", "REQUEST_AMBIGUOUS");
  if (lines.contentLengths > 0) return refusal("REQUEST_AMBIGUOUS", "Content-Length and Transfer-Encoding are both present");
  if (version === "1.0") return refusal("REQUEST_AMBIGUOUS", "Transfer-Encoding in HTTP/1.0");
  if (lines.transferEncodings > 1) return refusal("REQUEST_AMBIGUOUS", "Transfer-Encoding is repeated");
  const coding = lines.transferEncoding.toLowerCase();
  if (coding === "chunked") return -1;
  const detail = `Transfer-Encoding is ${JSON.stringify(coding.slice(0, 80))}, expected "chunked"`;
  return refusal(OTHER_CODINGS_THEN_CHUNKED.test(coding) ? "CODING_UNSUPPORTED" : "REQUEST_AMBIGUOUS", detail);
}

// A well-formed list that ends in its only "chunked" has a known length; only its other codings are not served (RFC 9112 section 6.1).
const OTHER_CODINGS_THEN_CHUNKED = /^(?:(?!chunked[\t ]*,)[!#$%&'*+\-.^_`|~0-9a-z]+[\t ]*,[\t ]*)+chunked$/;

const PROTOCOL = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:\/[!#$%&'*+\-.^_`|~0-9A-Za-z]+)?$/;

/**
 * The one protocol asked for, or "" when the request is served as if Upgrade were absent (RFC 9110 section 7.8 allows that).
 * h2c is never taken: through the tunnel it would carry requests past every rule.
 */
function requestedProtocol(version: "1.0" | "1.1", bodyLength: number): string {
  const lines = fieldLines;
  if (version !== "1.1" || bodyLength !== 0 || lines.upgrades !== 1 || !PROTOCOL.test(lines.upgrade)) return "";
  const protocol = lines.upgrade.toLowerCase();
  return protocol === "h2c" || protocol.startsWith("h2c/") || protocol.startsWith("http/") || protocol.startsWith("tls/") ? "" : protocol;
}

// The reason phrase may be missing together with the space before it: many origins send "HTTP/1.1 200", and nothing is ambiguous about it.
const STATUS_LINE = /^HTTP\/1\.([01]) ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?\r\n/;
const KEEP_ALIVE_TIMEOUT = /(?:^|[,;\t ])timeout[\t ]*=[\t ]*"?([0-9]{1,7})/i;

/** Parses an origin's `head`. Refusals are UPSTREAM_MALFORMED or UPSTREAM_HEAD_TOO_LARGE. */
export function parseResponseHead(head: string, limits: WireLimits): ResponseHead | Refusal {
  const parsed = readResponseHead(head, limits);
  if (parsed.refused === null || parsed.refused === "UPSTREAM_MALFORMED") return parsed;
  return refusal(parsed.refused === "HEADERS_TOO_LARGE" ? "UPSTREAM_HEAD_TOO_LARGE" : "UPSTREAM_MALFORMED", parsed.detail);
}

function readResponseHead(head: string, limits: WireLimits): ResponseHead | Refusal {
  let status: number;
  let version: "1.0" | "1.1" = "1.1";
  let fieldsAt: number;
  if (head.startsWith("HTTP/1.1 200 OK\r\n")) {
    status = 200;
    fieldsAt = 17;
  } else {
    const line = STATUS_LINE.exec(head);
    if (line === null) return refusal("UPSTREAM_MALFORMED", `status line ${JSON.stringify(head.slice(0, 80))} breaks the grammar`);
    status = Number(line[2]);
    if (line[1] === "0") version = "1.0";
    fieldsAt = line[0].length;
  }
  const refusedFields = readFieldLines(head, fieldsAt, limits);
  if (refusedFields !== null) return refusedFields;
  const lines = fieldLines;
  const declaredLength = lines.declaredLength("UPSTREAM_MALFORMED", "UPSTREAM_MALFORMED");
  if (typeof declaredLength !== "number") return declaredLength;
  const bodyKind = responseBodyKind(status, version, declaredLength);
  if (typeof bodyKind !== "string") return bodyKind;
  let keepAlive = version === "1.1";
  let upgradeProtocol = "";
  if (lines.connection !== "") {
    const options = lines.takeConnectionOptions();
    if (options.refused !== null) return options;
    if (options.close) keepAlive = false;
    else if (options.keepAlive) keepAlive = true;
    if (options.upgrade && status === 101 && lines.upgrades === 1 && PROTOCOL.test(lines.upgrade)) upgradeProtocol = lines.upgrade.toLowerCase();
  }
  if (bodyKind === "close") keepAlive = false;
  // These have no body (RFC 9112 section 6.3); an origin that declares one may send it, and its bytes must not be taken for the next response.
  else if (bodyKind === "none" && status !== 304 && (lines.transferEncodings > 0 || declaredLength > 0)) keepAlive = false;
  const timeout = lines.keepAlive === "" ? null : KEEP_ALIVE_TIMEOUT.exec(lines.keepAlive);
  return {
    refused: null,
    status,
    version,
    fields: lines.list,
    bodyKind,
    declaredLength,
    keepAlive,
    keepAliveTimeoutMs: timeout === null ? -1 : Number(timeout[1]) * 1000,
    upgradeProtocol,
  };
}

/** RFC 9112 section 6.3, for a response to anything but HEAD. */
function responseBodyKind(status: number, version: "1.0" | "1.1", declaredLength: number): ResponseBodyKind | Refusal {
  const lines = fieldLines;
  if (lines.transferEncodings > 0) {
    if (declaredLength >= 0) return refusal("UPSTREAM_MALFORMED", "Content-Length and Transfer-Encoding are both present");
    if (version === "1.0") return refusal("UPSTREAM_MALFORMED", "Transfer-Encoding in HTTP/1.0");
    if (lines.transferEncodings > 1 || lines.transferEncoding.toLowerCase() !== "chunked") {
      return refusal("UPSTREAM_MALFORMED", `Transfer-Encoding is ${JSON.stringify(lines.transferEncoding.slice(0, 80))}, expected one "chunked"`);
    }
  }
  // RFC 9110 section 8.6 forbids it, and llhttp reads the final response's first bytes as such a body.
  if (status < 200 && (lines.transferEncodings > 0 || declaredLength > 0)) {
    return refusal("UPSTREAM_MALFORMED", `an informational response (${status}) that declares a body`);
  }
  if (status < 200 || status === 204 || status === 304) return "none";
  if (lines.transferEncodings > 0) return "chunked";
  return declaredLength >= 0 ? "length" : "close";
}
