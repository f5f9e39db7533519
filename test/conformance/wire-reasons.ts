/** Where the front differs from the outside data, and why. A case is named by suite and number ("llhttp method#1"). */
export type Verdict = "accept" | "reject" | "wait";

export interface Difference {
  readonly cases: readonly string[];
  /** What the front does instead, once a cut-off case has been completed. */
  readonly verdict: Verdict;
  readonly code: string;
  readonly reason: string;
}

export const DIFFERENCES: readonly Difference[] = [
  {
    cases: ["llhttp method#1", "llhttp method#2", "llhttp method#3", "llhttp uri#8"],
    verdict: "reject",
    code: "METHOD_UNSUPPORTED",
    reason: "CONNECT: a reverse proxy opens no tunnels to addresses that clients name",
  },
  {
    cases: ["llhttp method#11", "llhttp method#12", "llhttp method#13"],
    verdict: "reject",
    code: "REQUEST_MALFORMED",
    reason: "RTSP and ICE are other protocols; llhttp parses them too",
  },
  { cases: ["llhttp sample#9"], verdict: "reject", code: "REQUEST_MALFORMED", reason: "HTTP/0.9 has no version, fields or Host" },
  { cases: ["llhttp method#4"], verdict: "reject", code: "REQUEST_MALFORMED", reason: '"*" is a target for OPTIONS alone (RFC 9112 section 3.2.4)' },
  {
    cases: ["llhttp transfer-encoding#19", "llhttp transfer-encoding#20", "llhttp uri#7"],
    verdict: "reject",
    code: "REQUEST_MALFORMED",
    reason: "a target holds no fragment (RFC 9112 section 3.2); two readers would cut the path differently",
  },
  { cases: ["llhttp uri#9"], verdict: "reject", code: "HOST_INVALID", reason: "user information in an http authority is refused (RFC 9110 section 4.2.4)" },
  {
    cases: ["llhttp sample#2", "llhttp sample#3"],
    verdict: "reject",
    code: "HOST_INVALID",
    reason: '"0.0.0.0=5000" is a registered name by the letter of RFC 3986; sub-delimiters in Host are refused',
  },
  {
    cases: ["llhttp uri#2", "llhttp uri#3", "llhttp uri#5"],
    verdict: "reject",
    code: "HOST_INVALID",
    reason: "Host must equal the authority of an absolute target (the case has none, and completed it differs)",
  },
  {
    cases: ["llhttp connection#4"],
    verdict: "reject",
    code: "REQUEST_MALFORMED",
    reason: "one empty line before a request line is skipped (RFC 9112 section 2.2), a second is not",
  },
  {
    cases: ["llhttp connection#2", "llhttp connection#8", "llhttp connection#9"],
    verdict: "accept",
    code: "",
    reason: "bytes behind the last request of a connection are thrown away unread (RFC 9112 section 9.6); llhttp calls them an error",
  },
  {
    cases: ["llhttp invalid#3", "llhttp invalid#13"],
    verdict: "accept",
    code: "",
    reason: "methods are an open set (RFC 9110 section 16.1): a proxy passes on those it does not know",
  },
];
