/** What a request means for a cache. A plain GET takes one pass over its field names and allocates nothing. */
import type { Fields } from "../../proxy/fields.ts";
import { parseRequestDirectives } from "./directives.ts";
import type { RequestTerms } from "./terms.ts";

const PLAIN_GET: RequestTerms = { kind: "get", directives: null, conditional: false, forOrigin: false, range: false, authorization: false };
const PLAIN_HEAD: RequestTerms = { ...PLAIN_GET, kind: "head" };

/** Registered as safe (IANA method registry); every other one may change something (RFC 9111 section 4.4). */
const SAFE = new Set(["OPTIONS", "TRACE", "PROPFIND", "REPORT", "SEARCH", "QUERY", "PRI"]);

const CACHE_CONTROL = 1;
const CONDITIONAL = 2;
const FOR_ORIGIN = 4;
const RANGE = 8;
const AUTHORIZATION = 16;

export function readRequest(method: string, fields: Fields, honourClient: boolean): RequestTerms {
  const kind = kindOf(method);
  const seen = scan(fields.list);
  if (seen === 0 && kind === "get") return PLAIN_GET;
  if (seen === 0 && kind === "head") return PLAIN_HEAD;
  return {
    kind,
    directives: honourClient && seen & CACHE_CONTROL ? directivesOf(fields) : null,
    conditional: (seen & CONDITIONAL) !== 0,
    forOrigin: (seen & FOR_ORIGIN) !== 0,
    range: (seen & RANGE) !== 0,
    authorization: (seen & AUTHORIZATION) !== 0,
  };
}

function kindOf(method: string): RequestTerms["kind"] {
  if (method === "GET") return "get";
  if (method === "HEAD") return "head";
  return SAFE.has(method) ? "safe" : "unsafe";
}

function scan(list: readonly string[]): number {
  let seen = 0;
  for (let i = 0; i < list.length; i += 2) {
    switch (list[i]) {
      case "cache-control":
      case "pragma":
        seen |= CACHE_CONTROL;
        break;
      case "if-none-match":
      case "if-modified-since":
        seen |= CONDITIONAL;
        break;
      case "if-match":
      case "if-unmodified-since":
        seen |= FOR_ORIGIN;
        break;
      case "range":
        seen |= RANGE;
        break;
      case "authorization":
        seen |= AUTHORIZATION;
        break;
      default:
    }
  }
  return seen;
}

/** Pragma counts only without Cache-Control (RFC 9111 section 5.4). */
function directivesOf(fields: Fields): RequestTerms["directives"] {
  const lines = fields.getAll("cache-control");
  return parseRequestDirectives(lines.length > 0 ? lines : fields.getAll("pragma").filter((line) => /\bno-cache\b/i.test(line)));
}
