/**
 * Makes the tables that answer "which entries does this request meet?". Hosts by map, paths by a tree of segments below each host,
 * the other conditions for what is left. Built when a release or config is swapped in; asked per request.
 */
import { domainToASCII } from "node:url";
import { compileConditions, listOf, type Condition } from "./conditions.ts";
import type { MatchEntry, MatchResult, MatchSpec, Matchable, Matcher, Params } from "./match.ts";
import { parsePathPattern, type PathPlan, unescapePlain } from "./path-pattern.ts";
import { PathTree, SplitPath, type Candidate } from "./path-tree.ts";
import { ResultTable } from "./result-table.ts";

export interface MatcherOptions {
  /** Sets of entries whose arrays are kept for identity. Default 10,000. */
  readonly internLimit?: number;
}

/** Throws a TypeError for a pattern that `validateMatchSpec` would have refused. */
export function compileMatcher(entries: readonly MatchEntry[], options: MatcherOptions = {}): Matcher {
  return new CompiledMatcher(entries, options.internLimit ?? 10_000);
}

/** What URL parsing would change in a path (characters it encodes, dot segments, a backslash), and escapes of what needs none. */
const NEEDS_PARSING = /[^\x21\x24-\x3b\x3d\x40-\x5b\x5d\x5f\x61-\x7a\x7c\x7e]|\/\.{1,2}(?:\/|$)|%(?:2[de]|3\d|[46][1-9a-f]|5[\daf]|7[\dae])/i;

/**
 * The path that patterns are compared with: dot segments resolved, as URLPattern does it, and letters, digits and `-._~` unescaped. Without
 * this, `/x/../admin/a` and `/%61dmin/a` would pass by a rule for `/admin/*` and be served by an origin that reads them as what they are
 * (RFC 3986 section 6.2.2.2).
 */
export function canonicalPath(path: string): string {
  if (!NEEDS_PARSING.test(path) || !path.startsWith("/")) return path;
  const plain = path.includes("%") ? unescapePlain(path) : path;
  // Latin-1 text stands for bytes, not for code points.
  const ascii = plain.replace(/[\x80-\xff]/g, (byte) => `%${byte.charCodeAt(0).toString(16).toUpperCase()}`);
  return new URL(`http://a${ascii.replaceAll("?", "%3F").replaceAll("#", "%23")}`).pathname;
}

class CompiledMatcher implements Matcher {
  readonly always: number;
  readonly #anyHost = new PathTree();
  readonly #exactHosts = new Map<string, PathTree>();
  /** By what stands behind "*.". */
  readonly #suffixHosts = new Map<string, PathTree>();
  readonly #conditions: (Condition | null)[] = [];
  readonly #results: ResultTable;
  #depth = 0;
  // Reused from request to request: nothing of them outlives a call.
  readonly #path = new SplitPath();
  readonly #candidates: Candidate[] = [];
  readonly #indices: number[] = [];

  constructor(entries: readonly MatchEntry[], internLimit: number) {
    this.#results = new ResultTable(internLimit);
    // An entry without conditions that stands first.
    this.always = entries[0]?.specs.every((spec) => Object.keys(spec).length === 0) === true ? 0 : -1;
    const plans = new Map<string, PathPlan>();
    let rank = 0;
    for (const [entry, { specs }] of entries.entries()) {
      for (const spec of specs.length === 0 ? [{}] : specs) rank = this.#add(spec, entry, rank, plans);
    }
    for (const tree of [this.#anyHost, ...this.#exactHosts.values(), ...this.#suffixHosts.values()]) this.#depth = Math.max(this.#depth, tree.depth);
  }

  all(request: Matchable): MatchResult {
    const candidates = this.#collect(request);
    const indices = this.#indices;
    empty(indices);
    let params: (Params | null)[] | null = null;
    let last = -1;
    for (const candidate of candidates) {
      if (candidate.entry === last || this.#conditions[candidate.spec]?.(request) === false) continue;
      const groups = candidate.groups === null ? null : candidate.groups(this.#path);
      if (candidate.groups !== null) {
        if (groups === null) continue;
        params ??= indices.map(() => null);
      }
      last = candidate.entry;
      indices.push(last);
      params?.push(groups);
    }
    return this.#results.get(indices, params);
  }

  first(request: Matchable): number {
    for (const candidate of this.#collect(request)) {
      if (this.#conditions[candidate.spec]?.(request) === false) continue;
      if (candidate.groups === null || candidate.groups(this.#path) !== null) return candidate.entry;
    }
    return -1;
  }

  #add(spec: MatchSpec, entry: number, rank: number, plans: Map<string, PathPlan>): number {
    this.#conditions.push(compileConditions(spec, this.#compileNot(spec)));
    const place = { entry, spec: this.#conditions.length - 1 };
    const paths = spec.path === undefined ? [null] : listOf(spec.path);
    const trees = spec.host === undefined ? [this.#anyHost] : listOf(spec.host).map((host) => this.#treeOf(host));
    for (const path of paths) {
      let used = 0;
      for (const tree of trees) used = Math.max(used, tree.add(path === null ? null : planOf(path, plans), { ...place, rank }));
      rank += used;
    }
    return rank;
  }

  #compileNot(spec: MatchSpec): Condition | null {
    if (spec.not === undefined) return null;
    const specs = Array.isArray(spec.not) ? (spec.not as readonly MatchSpec[]) : [spec.not as MatchSpec];
    if (specs.length === 0) return null;
    const matcher = new CompiledMatcher([{ specs }], 1);
    return (request) => matcher.first(request) === 0;
  }

  #treeOf(host: string): PathTree {
    if (host === "*") return this.#anyHost;
    const wildcard = host.startsWith("*.");
    const name = canonicalHost(wildcard ? host.slice(2) : host);
    const trees = wildcard ? this.#suffixHosts : this.#exactHosts;
    const tree = trees.get(name) ?? new PathTree();
    trees.set(name, tree);
    return tree;
  }

  /** Candidates for host and path, by rank. */
  #collect(request: Matchable): Candidate[] {
    const candidates = this.#candidates;
    empty(candidates);
    const path = this.#path;
    path.split(canonicalPath(request.path), this.#depth);
    this.#anyHost.collect(path, candidates);
    if (this.#exactHosts.size > 0 || this.#suffixHosts.size > 0) {
      const host = request.host.endsWith(".") ? request.host.slice(0, -1) : request.host;
      this.#exactHosts.get(host)?.collect(path, candidates);
      if (this.#suffixHosts.size > 0) {
        for (let dot = host.indexOf("."); dot > 0; dot = host.indexOf(".", dot + 1)) this.#suffixHosts.get(host.slice(dot + 1))?.collect(path, candidates);
      }
    }
    sortByRank(candidates);
    return candidates;
  }
}

/** Host names compare in ASCII and lowercase; IPv6 addresses in brackets as they are. */
function canonicalHost(host: string): string {
  return host.startsWith("[") ? host.toLowerCase() : domainToASCII(host) || host.toLowerCase();
}

/** Routes often share few patterns over many hosts. */
function planOf(path: string, plans: Map<string, PathPlan>): PathPlan {
  const plan = plans.get(path) ?? parsePathPattern(path);
  plans.set(path, plan);
  return plan;
}

/** Setting `length` would leave compiled code for V8's runtime, and throw the room away that the next request needs. */
function empty(list: unknown[]): void {
  while (list.length > 0) list.pop();
}

/** Mostly in order already: insertion for the few there usually are. */
function sortByRank(candidates: Candidate[]): void {
  if (candidates.length > 32) {
    candidates.sort((a, b) => a.rank - b.rank);
    return;
  }
  for (let at = 1; at < candidates.length; at++) {
    const moving = candidates[at]!;
    let to = at;
    for (; to > 0 && candidates[to - 1]!.rank > moving.rank; to--) candidates[to] = candidates[to - 1]!;
    candidates[to] = moving;
  }
}
