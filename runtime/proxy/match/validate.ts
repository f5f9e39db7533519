/** Is this value a match spec? Shared by config (routes) and compile (`when`), so that both say the same. */
import { isFieldValue, isToken } from "../fields.ts";
import type { MatchSpec } from "./match.ts";
import { parsePathPattern } from "./path-pattern.ts";
import { nearest } from "../../nearest.ts";

export interface MatchProblem {
  /** Below the spec: "path", "not.host[1]", "header.x-debug". */
  readonly path: string;
  readonly value: unknown;
  readonly expected: string;
  /** The nearest valid key, or "". */
  readonly nearest: string;
}

const KEYS = ["host", "path", "method", "header", "cookie", "query", "country", "not"] as const satisfies readonly (keyof MatchSpec)[];
const METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
const MAX_DEPTH = 4;
const MAX_ALTERNATIVES = 1_000;
const HOST = /^(?:\*\.)?(?:[\p{L}\p{N}_-]{1,63}\.)*[\p{L}\p{N}_-]{1,63}$/u;
const IPV6 = /^\[[0-9a-f:.]+\]$/i;

/** All that is wrong with `spec`, a single spec or a list of them; empty when nothing is. Never throws. */
export function validateMatchSpec(spec: unknown): MatchProblem[] {
  const problems: MatchProblem[] = [];
  checkSpecs(spec, "", 0, (path, value, expected, near = "") => void problems.push({ path, value, expected, nearest: near }));
  return problems;
}

type Report = (path: string, value: unknown, expected: string, nearest?: string) => void;

function checkSpecs(value: unknown, at: string, depth: number, report: Report): void {
  if (!Array.isArray(value)) return checkSpec(value, at, depth, report);
  if (value.length > MAX_ALTERNATIVES) return report(at, `${value.length} entries`, `at most ${MAX_ALTERNATIVES}`);
  for (const [index, spec] of value.entries()) checkSpec(spec, `${at}[${index}]`, depth, report);
}

function checkSpec(value: unknown, at: string, depth: number, report: Report): void {
  if (!isRecord(value)) return report(at, value, `an object with ${KEYS.join(", ")}`);
  if (depth >= MAX_DEPTH) return report(at, value, `"not" nested at most ${MAX_DEPTH - 1} deep`);
  const below = (key: string): string => (at === "" ? key : `${at}.${key}`);
  for (const [key, member] of Object.entries(value)) {
    if (member === undefined) continue;
    switch (key) {
      case "host":
        checkList(member, below(key), report, hostExpectation);
        break;
      case "path":
        checkList(member, below(key), report, pathExpectation);
        break;
      case "method":
        checkList(member, below(key), report, methodExpectation);
        break;
      case "country":
        checkList(member, below(key), report, (code) => (/^[A-Z]{2}$/.test(code) ? "" : `an ISO 3166 code of two capitals, such as "DE"`));
        break;
      case "header":
        checkNamed(member, below(key), report, (name) => (isToken(name) ? "" : "a header name (letters, digits, dashes)"));
        break;
      case "cookie":
        checkNamed(member, below(key), report, (name) => (isToken(name) ? "" : "a cookie name without spaces or separators"));
        break;
      case "query":
        checkNamed(member, below(key), report, () => "");
        break;
      case "not":
        checkSpecs(member, below(key), depth + 1, report);
        break;
      default:
        report(below(key), member, `one of ${KEYS.join(", ")}`, nearest(key, KEYS));
    }
  }
}

function checkList(value: unknown, at: string, report: Report, expectation: (text: string) => string): void {
  const list = Array.isArray(value) ? value : [value];
  if (list.length === 0) return report(at, value, "a string or a list with at least one: an empty list matches nothing");
  if (list.length > MAX_ALTERNATIVES) return report(at, `${list.length} entries`, `at most ${MAX_ALTERNATIVES}`);
  for (const [index, text] of list.entries()) {
    const expected = typeof text === "string" ? expectation(text) : "a string";
    if (expected !== "") report(Array.isArray(value) ? `${at}[${index}]` : at, text, expected);
  }
}

function checkNamed(value: unknown, at: string, report: Report, expectation: (name: string) => string): void {
  if (!isRecord(value)) return report(at, value, "an object: name → true, false, a value or a list of values");
  for (const [name, wanted] of Object.entries(value)) {
    const expected = expectation(name);
    if (expected !== "") report(`${at}.${name}`, name, expected);
    if (typeof wanted === "boolean" || wanted === undefined) continue;
    const list = Array.isArray(wanted) ? wanted : [wanted];
    if (list.length === 0 || !list.every((text) => typeof text === "string" && isFieldValue(text))) {
      report(`${at}.${name}`, wanted, "true (present), false (absent), a string or a list of strings");
    }
  }
}

function hostExpectation(host: string): string {
  if (host === "*" || HOST.test(host) || IPV6.test(host)) return "";
  return `a host name without scheme and port, such as "shop.example.com" or "*.example.com"`;
}

function methodExpectation(method: string): string {
  if (!isToken(method)) return `a method such as "GET"`;
  const upper = method.toUpperCase();
  return upper !== method && METHODS.includes(upper) ? `"${upper}": methods compare as written` : "";
}

function pathExpectation(path: string): string {
  if (!/^[/*{]/.test(path)) return `a path that begins with "/", such as "/${path.replace(/^[^A-Za-z0-9]*/, "") || "*"}"`;
  if (path.includes("#") || /^[^({:*]*\?[^({:*]*=/.test(path)) return "a path without query and fragment; conditions on the query go under query";
  try {
    const plan = parsePathPattern(path);
    // Such an expression would run in the proxy core, where one request can hold up all others.
    if (plan.kind === "pattern" && plan.repeats > 2) return "a pattern with at most two unbounded repeats, no look-around and no groups inside an expression";
    return "";
  } catch {
    return `URLPattern syntax, such as "/products/:id" or "/old/*"; a literal ? + * : ( ) { } needs a backslash before it`;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
