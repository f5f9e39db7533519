/** Responses as the reader of origins' answers reads them beside how llhttp does: every difference must be a listed one, on the strict side. */
import { ResponseReader } from "../../runtime/upstream/response-reader.ts";
import { llhttpResponses, type Read } from "./llhttp.ts";
import { compareFields, type Compared, LIMITS } from "./request-differences.ts";

interface Ours {
  problem: string;
  informational: number;
  status: number;
  fields: readonly string[];
  keepAlive: boolean;
  body: string;
  ended: boolean;
  switched: boolean;
}

/** What ours refuses and llhttp takes, and why. */
const STRICTER: readonly [pattern: RegExp, reason: string][] = [
  [/^UPSTREAM_HEAD_TOO_LARGE/, "llhttp has one limit for the whole head, and none here"],
  [/^UPSTREAM_MALFORMED: a header line of|^UPSTREAM_MALFORMED: more than \d+ (?:headers|bytes)/, "the same"],
  [
    /^UPSTREAM_MALFORMED: (?:expected a )?status line/,
    "ours: HTTP/1.0 and 1.1, status 100 to 599; llhttp also takes 0.9, 2.0, other numbers and line ends before it",
  ],
  [/^UPSTREAM_MALFORMED: 101 /, "llhttp does not know what was asked for"],
  [/^UPSTREAM_MALFORMED: an informational response/, "llhttp reads the bytes behind it as its body (RFC 9110 section 8.6: it has none)"],
  [/^UPSTREAM_MALFORMED: more than \d+ informational/, "llhttp takes any number"],
  [/^UPSTREAM_MALFORMED: Transfer-Encoding (?:in HTTP\/1\.0|is )/, 'only one final "chunked" in HTTP/1.1 has one meaning (RFC 9112 section 6.1)'],
  [/^UPSTREAM_MALFORMED: Content-Length is "[0-9]{17,}"/, "more than sixteen digits; llhttp counts to 2^64"],
  [/^UPSTREAM_MALFORMED: Content-Length .* overflows/, "above 2^53 JavaScript cannot count bytes"],
  [/^UPSTREAM_MALFORMED: Connection holds/, "RFC 9110 section 7.6.1: options are tokens"],
  [
    /^UPSTREAM_MALFORMED: (?:a chunk size overflows|a chunk extension breaks|more than \d+ bytes of chunk extensions)/,
    "thirteen digits, bounded, and extensions by their grammar",
  ],
  [
    /^UPSTREAM_MALFORMED: (?:trailers: |a trailer that speaks of framing|a control byte in the trailers)/,
    "trailers obey the grammar of fields, and frame nothing",
  ],
];

/** What ours takes and llhttp refuses, and why that is safe. */
const LAXER: readonly [error: string, test: (messages: Read["messages"]) => boolean, reason: string][] = [
  [
    "HPE_CLOSED_CONNECTION",
    (messages) => messages.some(({ status, keepAlive }) => status < 200 && !keepAlive),
    '"Connection: close" in an informational response cannot mean that no final one follows (RFC 9110 section 15.2); how that one is framed stands in itself',
  ],
];

/** Compares the first final response of `text`, as the answer to HEAD or another method; and reads it in `pieces` (sizes, taken in turn) too. */
export function compareResponses(text: string, toHead: boolean, pieces: readonly number[] = []): Compared {
  const theirs = llhttpResponses(text, toHead);
  const ours = readResponse(text, toHead, []);
  const difference = compareOne(ours, theirs);
  const kind = `${theirs.error}|${ours.problem.replaceAll(/"(?:[^"\\]|\\.)*"|\d+/g, "#")}|${ours.status} ${ours.fields.length} ${ours.keepAlive} ${ours.ended}`;
  if (difference !== "" || pieces.length === 0) return { difference, kind };
  const cut = readResponse(text, toHead, pieces);
  const same = ours.problem !== "" && cut.problem !== "" ? true : JSON.stringify(ours) === JSON.stringify(cut);
  return { difference: same ? "" : `read otherwise in pieces of ${pieces.join()}: ${JSON.stringify(cut)} instead of ${JSON.stringify(ours)}`, kind };
}

function compareOne(ours: Ours, { messages, error }: Read): string {
  const final = messages.find(({ status }) => status >= 200 || status === 101) ?? null;
  // The text ends with its connection: what is not complete by then has failed.
  const theyTake = final !== null && final.complete;
  if (ours.problem !== "") {
    if (!theyTake || STRICTER.some(([pattern]) => pattern.test(ours.problem))) return "";
    return `ours refuses (${ours.problem}), llhttp takes it`;
  }
  if (!ours.ended) return theyTake ? "ours waits, llhttp has a response" : "";
  if (!theyTake || final === null) return LAXER.some(([code, holds]) => code === error && holds(messages)) ? "" : `ours takes, llhttp refuses (${error})`;
  if (ours.status !== final.status) return `status ${ours.status}, llhttp's ${final.status}`;
  if (ours.informational !== messages.indexOf(final)) return `${ours.informational} informational responses, llhttp's ${messages.indexOf(final)}`;
  if (ours.body !== final.body) return "different bodies";
  if (ours.keepAlive && !final.keepAlive) return "ours keeps the connection, llhttp does not";
  return compareFields(ours.fields, final.fields);
}

function readResponse(text: string, toHead: boolean, pieces: readonly number[]): Ours {
  const bytes = Buffer.from(text, "latin1");
  const ours: Ours = { problem: "", informational: 0, status: 0, fields: [], keepAlive: false, body: "", ended: false, switched: false };
  const reader = new ResponseReader(LIMITS, {
    informational: () => void ours.informational++,
    responseWhole(answer, body, overrun) {
      Object.assign(ours, { status: answer.status, fields: answer.fields, keepAlive: answer.keepAlive && !overrun, ended: true });
      body.read({ chunk: (bytes) => ((ours.body += bytes.toString("latin1")), true), end: () => undefined, error: () => undefined });
    },
    responseBegins: (answer) => void Object.assign(ours, { status: answer.status, fields: answer.fields, keepAlive: answer.keepAlive }),
    responseBytes: (body) => void (ours.body += body.toString("latin1")),
    responseEnds(_answer, _trailers, overrun) {
      ours.ended = true;
      if (overrun) ours.keepAlive = false;
    },
    responseSwitches: (answer) => void Object.assign(ours, { status: answer.status, fields: answer.fields, ended: true, switched: true }),
  });
  reader.expect(toHead ? "HEAD" : "GET", "");
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const to = pieces.length === 0 ? bytes.length : Math.min(bytes.length, at + pieces[turn % pieces.length]!);
    const piece = bytes.subarray(at, to);
    at = to;
    const problem = reader.feed(piece, piece.length);
    if (problem !== null) {
      ours.problem = `${problem.code}: ${problem.detail}`;
      return ours;
    }
    // What comes behind the end is an overrun in whatever piece it comes; here the connection would be closed.
    if (ours.ended) {
      if (at < bytes.length) ours.keepAlive = false;
      break;
    }
  }
  if (reader.untilClose) reader.closed();
  return ours;
}
