/**
 * The tree of path segments in which the candidates for one host stand. A walk meets the candidates whose path can match, and
 * whatever their number, none of the others (10,000 literal paths cost one map lookup a segment).
 */
import { matchGlob } from "./glob.ts";
import type { PathPlan, Segment } from "./path-pattern.ts";
import type { Params } from "./match.ts";

/** One alternative of one entry. Candidates are tried by ascending rank: by entry, then by spec, then by pattern as written. */
export interface Candidate {
  readonly rank: number;
  readonly entry: number;
  /** The conditions beside host and path, an index into the compiled specs. */
  readonly spec: number;
  /** Null when it has no groups and meeting it in the tree proves the match. */
  readonly groups: GroupReader | null;
}

/** Reads the path's groups; null when the path does not match after all. */
export type GroupReader = (path: SplitPath) => Params | null;

/** A path and where its segments stand, split once per request. Reused between requests. */
export class SplitPath {
  text = "";
  /** Segments, at most one more than the tree is deep; the last of a longer path is not split further. */
  readonly segments: string[] = [];
  readonly starts: number[] = [];
  count = 0;

  split(text: string, depth: number): void {
    this.text = text;
    this.count = 0;
    if (text.charCodeAt(0) !== 47) return;
    let from = 1;
    for (;;) {
      const slash = this.count < depth ? text.indexOf("/", from) : -1;
      this.starts[this.count] = from;
      this.segments[this.count++] = slash < 0 ? text.slice(from) : text.slice(from, slash);
      if (slash < 0) {
        // One past the depth holds the rest of the path: no leaf stands that deep.
        return;
      }
      from = slash + 1;
    }
  }
}

class Node {
  readonly literals = new Map<string, Node>();
  param: Node | null = null;
  readonly expressions: { readonly source: string; readonly expression: RegExp; readonly next: Node }[] = [];
  /** The path ends here. */
  readonly ends: Candidate[] = [];
  /** Anything may follow the slash here. */
  readonly rests: Candidate[] = [];
  /** By text that the next segment must begin with; `lengths` are those texts' lengths. */
  readonly beginnings = new Map<string, Candidate[]>();
  readonly lengths: number[] = [];

  begin(text: string): Candidate[] {
    if (text === "") return this.rests;
    const found = this.beginnings.get(text);
    if (found) return found;
    const list: Candidate[] = [];
    this.beginnings.set(text, list);
    if (!this.lengths.includes(text.length)) this.lengths.push(text.length);
    return list;
  }
}

export class PathTree {
  /** Candidates for every path. */
  readonly #always: Candidate[] = [];
  readonly #root = new Node();
  #depth = 0;
  #hasPaths = false;

  /** Segments that a request's path must be split into. */
  get depth(): number {
    return this.#depth;
  }

  /** `plan` null: any path. Ranks `rank`, `rank + 1`, … are used, one for each alternative; the number of them is returned. */
  add(plan: PathPlan | null, place: { rank: number; entry: number; spec: number }): number {
    if (plan === null || plan.kind === "everything") {
      const groups: GroupReader | null = plan && ((path) => ({ "0": path.text }));
      this.#always.push({ ...place, groups });
      return 1;
    }
    this.#hasPaths = true;
    if (plan.kind === "pattern") {
      const { pattern } = plan;
      this.#addBehindPrefix(plan.prefix, { ...place, groups: (path) => patternGroups(pattern, path.text) });
      return 1;
    }
    if (plan.kind === "glob") {
      const { steps } = plan;
      this.#addBehindPrefix(plan.prefix, { ...place, groups: (path) => matchGlob(steps, path.text) });
      return 1;
    }
    let rank = place.rank;
    for (const segments of plan.alternatives) this.#addSegments(segments, { ...place, rank: rank++, groups: segmentGroups(segments) });
    return rank - place.rank;
  }

  /** Appends the candidates that host and path admit, in no order. */
  collect(path: SplitPath, into: Candidate[]): void {
    for (const candidate of this.#always) into.push(candidate);
    if (this.#hasPaths && path.count > 0) walk(this.#root, 0, path, into);
  }

  #addSegments(segments: readonly Segment[], candidate: Candidate): void {
    this.#depth = Math.max(this.#depth, segments.length);
    let node = this.#root;
    for (const segment of segments) {
      if (segment.kind === "rest") {
        node.begin(segment.text).push(candidate);
        return;
      }
      node = step(node, segment);
    }
    node.ends.push(candidate);
  }

  #addBehindPrefix(prefix: string, candidate: Candidate): void {
    const segments = prefix.split("/").slice(1);
    const beginning = segments.pop() ?? "";
    this.#depth = Math.max(this.#depth, segments.length + 1);
    let node = this.#root;
    for (const text of segments) node = step(node, { kind: "literal", text });
    node.begin(beginning).push(candidate);
  }
}

function step(node: Node, segment: Exclude<Segment, { kind: "rest" }>): Node {
  if (segment.kind === "param") return (node.param ??= new Node());
  if (segment.kind === "literal") {
    const next = node.literals.get(segment.text) ?? new Node();
    node.literals.set(segment.text, next);
    return next;
  }
  const known = node.expressions.find((other) => other.source === segment.source);
  if (known) return known.next;
  const added = { source: segment.source, expression: new RegExp(`^(?:${segment.source})$`, "v"), next: new Node() };
  node.expressions.push(added);
  return added.next;
}

function walk(node: Node, depth: number, path: SplitPath, into: Candidate[]): void {
  if (depth === path.count) {
    for (const candidate of node.ends) into.push(candidate);
    return;
  }
  const segment = path.segments[depth]!;
  for (const candidate of node.rests) into.push(candidate);
  for (const length of node.lengths) {
    if (segment.length < length) continue;
    const found = node.beginnings.get(segment.slice(0, length));
    if (found) for (const candidate of found) into.push(candidate);
  }
  const literal = node.literals.get(segment);
  if (literal) walk(literal, depth + 1, path, into);
  if (node.param && segment !== "") walk(node.param, depth + 1, path, into);
  for (const { expression, next } of node.expressions) if (expression.test(segment)) walk(next, depth + 1, path, into);
}

function segmentGroups(segments: readonly Segment[]): GroupReader | null {
  const readers = segments.flatMap((segment, index) =>
    segment.kind === "literal" ? [] : [{ index, name: segment.name, skip: segment.kind === "rest" ? segment.text.length : -1 }],
  );
  if (readers.length === 0) return null;
  const [only] = readers;
  if (readers.length === 1 && only!.name === "0" && only!.skip >= 0) {
    const { index, skip } = only!;
    // The commonest: "/old/*". A literal with that key is made in one go; a key that is an index, stored afterwards, takes V8's slow way.
    return (path) => ({ "0": path.text.slice(path.starts[index]! + skip) });
  }
  return (path) => {
    const groups: Record<string, string> = {};
    for (const { index, name, skip } of readers) groups[name] = skip < 0 ? path.segments[index]! : path.text.slice(path.starts[index]! + skip);
    return groups;
  };
}

function patternGroups(pattern: URLPattern, pathname: string): Params | null {
  const found = pattern.exec({ pathname });
  if (!found) return null;
  const groups: Record<string, string> = {};
  for (const [name, value] of Object.entries(found.pathname.groups)) if (value !== undefined) groups[name] = value;
  return groups;
}
