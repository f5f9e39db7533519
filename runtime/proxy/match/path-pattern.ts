/**
 * Reads one path pattern (URLPattern pathname syntax) into something a tree can hold. Pure.
 *
 * Most patterns are segments of one kind each: a literal, `:name`, `:name(regex)`, a last `*`; optional parts are written out as
 * alternatives. `:a-:b` and `*` in the middle become steps for `glob.ts`. What is left (repeats, wide expressions) stays a URLPattern.
 * Both are found through the literal text that they begin with.
 */
import type { GlobStep } from "./glob.ts";

export type Segment =
  | { readonly kind: "literal"; readonly text: string }
  | { readonly kind: "param"; readonly name: string }
  | { readonly kind: "regex"; readonly name: string; readonly source: string }
  /** `text*`, only as the last segment: the rest of the path, which begins with `text`. */
  | { readonly kind: "rest"; readonly name: string; readonly text: string };

export type PathPlan =
  /** Every path, "*" of OPTIONS too. */
  | { readonly kind: "everything" }
  /** Tried in order: the first that matches is the one URLPattern's greedy expression would choose. */
  | { readonly kind: "segments"; readonly alternatives: readonly (readonly Segment[])[] }
  /** Segments of several kinds, or a star in the middle: `glob.ts` matches them in linear time. */
  | { readonly kind: "glob"; readonly prefix: string; readonly steps: readonly GlobStep[] }
  /** Only URLPattern can tell; `prefix` is literal text that every match begins with ("/" at least). */
  | { readonly kind: "pattern"; readonly prefix: string; readonly pattern: URLPattern; readonly repeats: number };

type Modifier = "" | "?" | "+" | "*";
type Part =
  | { readonly kind: "char"; readonly text: string }
  | { readonly kind: "name" | "regex" | "star"; readonly name: string; readonly source: string; readonly modifier: Modifier }
  | { readonly kind: "open" }
  | { readonly kind: "close"; readonly modifier: Modifier };

const NAME = /[\p{ID_Start}$_][\p{ID_Continue}$\u200c\u200d]*/uy;
/** Characters that URL parsing leaves as they are in a path; others are percent-encoded by it. */
const PLAIN = /^[A-Za-z0-9\-_.~!$&'()*+,;=:@%|[\]]*$/;
const CLASS = String.raw`\[(?:[A-Za-z0-9_.]-[A-Za-z0-9_.]|[A-Za-z0-9_.]|\\[dw\-])+\]`;
const FLAT = new RegExp(String.raw`^(?:(?:[A-Za-z0-9_~=@%\-]|\\[dw.\-]|${CLASS})(?:[?*+]|\{\d{1,2}(?:,\d{0,2})?\})?|\|)*$`);
const UNBOUNDED = /[*+]|,\}/g;
/** Alternatives written out for optional parts; beyond this URLPattern does it. */
const MAX_ALTERNATIVES = 16;

const ESCAPED_PLAIN = /%(?:2[DEde]|3[0-9]|[46][1-9A-Fa-f]|5[0-9AFaf]|7[0-9AEae])/g;

/** Letters, digits and `-._~` mean the same with and without percent-encoding (RFC 3986 section 2.3). */
export function unescapePlain(path: string): string {
  return path.replace(ESCAPED_PLAIN, (escape) => String.fromCharCode(Number.parseInt(escape.slice(1), 16)));
}

/** Throws a TypeError for what is no URLPattern. */
export function parsePathPattern(text: string): PathPlan {
  if (text === "*") return { kind: "everything" };
  const pattern = new URLPattern({ pathname: text });
  const parts = tokenize(text);
  const alternatives = parts && writeOut(parts, MAX_ALTERNATIVES);
  const segments = alternatives?.map(toSegments);
  if (segments && !segments.includes(null)) return { kind: "segments", alternatives: segments as Segment[][] };
  const steps = parts && toGlob(parts);
  if (steps) return { kind: "glob", prefix: literalPrefix(parts), steps };
  return { kind: "pattern", prefix: literalPrefix(parts ?? []), pattern, repeats: parts ? countRepeats(parts) : Infinity };
}

/** Null when a construct is not understood here although URLPattern took it. */
function tokenize(text: string): Part[] | null {
  const parts: Part[] = [];
  let unnamed = 0;
  let at = 0;
  const modifier = (): Modifier => {
    const next = text[at];
    if (next !== "?" && next !== "+" && next !== "*") return "";
    at++;
    return next;
  };
  while (at < text.length) {
    const char = text[at]!;
    if (char === "\\") {
      parts.push({ kind: "char", text: text[at + 1]! });
      at += 2;
    } else if (char === "{") {
      parts.push({ kind: "open" });
      at++;
    } else if (char === "}") {
      at++;
      parts.push({ kind: "close", modifier: modifier() });
    } else if (char === "*") {
      at++;
      parts.push({ kind: "star", name: String(unnamed++), source: "", modifier: modifier() });
    } else if (char === "(") {
      const end = closingBracket(text, at);
      if (end < 0) return null;
      const source = text.slice(at + 1, end);
      at = end + 1;
      parts.push({ kind: "regex", name: String(unnamed++), source, modifier: modifier() });
    } else if (char === ":") {
      NAME.lastIndex = at + 1;
      const name = NAME.exec(text)?.[0];
      if (!name) return null;
      at += 1 + name.length;
      const end = text[at] === "(" ? closingBracket(text, at) : at - 1;
      if (end < at - 1) return null;
      const source = text.slice(at + 1, Math.max(end, at + 1));
      const kind = end >= at ? "regex" : "name";
      at = end + 1;
      parts.push({ kind, name, source, modifier: modifier() });
    } else {
      // Paths are compared unescaped.
      const escape = char === "%" ? text.slice(at, at + 3) : char;
      const plain = unescapePlain(escape);
      parts.push({ kind: "char", text: plain === escape ? char : plain });
      at += plain === escape ? 1 : 3;
    }
  }
  return parts;
}

function closingBracket(text: string, open: number): number {
  let depth = 0;
  for (let at = open; at < text.length; at++) {
    const char = text[at];
    if (char === "\\") at++;
    else if (char === "(") depth++;
    else if (char === ")" && --depth === 0) return at;
  }
  return -1;
}

/** Optional parts with and without, greedy first; null when there is a repeat, or too much to write out. */
function writeOut(parts: readonly Part[], room: number): Part[][] | null {
  let done: Part[][] = [[]];
  const both = (optional: Part[], before: (list: Part[]) => Part[]): Part[][] => done.flatMap((list) => [[...list, ...optional], before(list)]);
  for (let at = 0; at < parts.length; at++) {
    const part = parts[at]!;
    if (part.kind === "open") {
      const end = parts.findIndex((other, index) => index > at && other.kind === "close");
      const close = parts[end];
      if (close?.kind !== "close" || close.modifier === "+" || close.modifier === "*") return null;
      const inside = parts.slice(at + 1, end);
      done = close.modifier === "?" ? both(inside, (list) => list) : done.map((list) => [...list, ...inside]);
      at = end;
    } else if (part.kind === "char" || part.kind === "close" || part.modifier === "") {
      for (const list of done) list.push(part);
    } else {
      const previous = parts[at - 1];
      if (part.modifier !== "?" || previous?.kind !== "char" || previous.text !== "/") return null;
      // The slash before an optional group belongs to it (URLPattern: "matching prefix").
      done = both([{ ...part, modifier: "" }], (list) => list.slice(0, -1));
    }
    if (done.length > room) return null;
  }
  return done;
}

/** Null unless every segment is of one kind. */
function toSegments(parts: readonly Part[]): Segment[] | null {
  const first = parts[0];
  if (first?.kind !== "char" || first.text !== "/") return null;
  const segments: Segment[] = [];
  let text = "";
  let group: Exclude<Part, { kind: "char" | "open" | "close" }> | null = null;
  const close = (last: boolean): boolean => {
    if (group === null) {
      const literal = canonicalLiteral(text);
      if (literal === null) return false;
      segments.push({ kind: "literal", text: literal });
    } else if (group.kind === "star") {
      const literal = canonicalLiteral(text);
      // "." and ".." before a star are text in a pattern but vanish from a path: let URLPattern say what that means.
      if (!last || literal === null || text.startsWith(".")) return false;
      segments.push({ kind: "rest", name: group.name, text: literal });
    } else if (text !== "") {
      return false;
    } else if (group.kind === "name") {
      segments.push({ kind: "param", name: group.name });
    } else {
      if (!staysInSegment(group.source)) return false;
      segments.push({ kind: "regex", name: group.name, source: group.source });
    }
    text = "";
    group = null;
    return true;
  };
  for (const part of parts.slice(1)) {
    if (part.kind === "open" || part.kind === "close") return null;
    if (part.kind === "char") {
      if (part.text === "/") {
        if (!close(false)) return null;
        continue;
      }
      if (group !== null) return null;
      text += part.text;
    } else {
      if (group !== null) return null;
      group = part;
    }
  }
  return close(true) ? segments : null;
}

/** Null when an expression or a repeat is among the parts, or text that URL parsing might change. */
function toGlob(parts: readonly Part[]): GlobStep[] | null {
  const steps: GlobStep[] = [];
  let text = "";
  let opened = -1;
  const flush = (): void => {
    if (text !== "") steps.push({ kind: "text", text });
    text = "";
  };
  for (const part of parts) {
    if (part.kind === "char") {
      text += part.text;
    } else if (part.kind === "open") {
      flush();
      opened = steps.length;
    } else if (part.kind === "close") {
      flush();
      if (part.modifier === "+" || part.modifier === "*") return null;
      if (part.modifier === "?") steps.splice(opened, 0, { kind: "maybe", skip: steps.length - opened });
    } else if (part.kind === "regex" || part.modifier === "+" || part.modifier === "*") {
      return null;
    } else if (part.modifier === "?") {
      const slash = text.endsWith("/");
      if (slash) text = text.slice(0, -1);
      flush();
      steps.push({ kind: "maybe", skip: slash ? 2 : 1 });
      if (slash) steps.push({ kind: "text", text: "/" });
      steps.push({ kind: part.kind, name: part.name });
    } else {
      flush();
      steps.push({ kind: part.kind, name: part.name });
    }
  }
  flush();
  const literals = parts.map((part) => (part.kind === "char" ? part.text : "\n"));
  return literals.every((char) => char === "\n" || char === "/" || PLAIN.test(char)) && !/\/\.|%2e/i.test(literals.join("").replaceAll("\n", ""))
    ? steps
    : null;
}

/** Literal text of a segment as it stands in a parsed URL; null for dot segments, which URL parsing takes away. */
function canonicalLiteral(text: string): string | null {
  if (text === "." || text === ".." || /%2e/i.test(text)) return null;
  if (PLAIN.test(text)) return text;
  const { pathname } = new URL(`http://a/${text.replaceAll("?", "%3F").replaceAll("#", "%23")}`);
  return pathname.indexOf("/", 1) < 0 ? pathname.slice(1) : null;
}

/**
 * Is it certain that this expression matches no "/", and that it cannot backtrack beyond the segment's length times itself?
 * A list of what is allowed: letters, digits, `\d`, `\w`, plain classes, alternation, repeats that are not nested.
 */
function staysInSegment(source: string): boolean {
  return FLAT.test(source) && (source.match(UNBOUNDED)?.length ?? 0) <= 2;
}

/** Text that every match begins with. A slash before a group with a modifier may be absent, so it is left out. */
function literalPrefix(parts: readonly Part[]): string {
  let prefix = "";
  let at = 0;
  for (; at < parts.length; at++) {
    const part = parts[at]!;
    if (part.kind !== "char") break;
    prefix += part.text;
  }
  const next = parts[at];
  if (next && "modifier" in next && next.modifier !== "" && prefix.endsWith("/")) prefix = prefix.slice(0, -1);
  // A dot segment takes away what stands before it.
  if (!prefix.startsWith("/") || /\/\.|%2e/i.test(prefix)) return "/";
  const segments = prefix.split("/").slice(1);
  const known: string[] = [];
  for (const [index, segment] of segments.entries()) {
    const literal = segment.startsWith(".") ? null : canonicalLiteral(segment);
    if (literal === null) return `/${known.map((text) => `${text}/`).join("")}`;
    known.push(literal);
    if (index === segments.length - 1) return `/${known.join("/")}`;
  }
  return "/";
}

/** Parts of any length whose neighbours do not fix where they end: each multiplies the work of a backtracking match by the path's length. */
function countRepeats(parts: readonly Part[]): number {
  let repeats = 0;
  for (const part of parts) {
    if (part.kind === "close") repeats += part.modifier === "+" || part.modifier === "*" ? 1 : 0;
    else if (part.kind === "name" || part.kind === "star") repeats++;
    else if (part.kind === "regex")
      repeats += /\([^?]|\(\?[=!<]|\\[1-9k]|\)\s*[*+{]/.test(part.source) ? Infinity : (part.source.match(UNBOUNDED)?.length ?? 0);
  }
  return repeats;
}
