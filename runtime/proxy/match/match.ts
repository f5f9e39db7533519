/**
 * Matching: which routes and rules a request meets. Data in, tables out; compiled when a release or config is swapped
 * in, never per request. `compileMatcher` stands in `compile-matcher.ts`; this file holds the words.
 */
import type { Fields } from "../fields.ts";

/** A string, or a list of which one must match. */
export type OneOrMany = string | readonly string[];

/**
 * One `when` or `routes[].match`, as written; all members given must hold. Plain data.
 * `host`: exact, or `*.example.com` (one or more labels); without port; compared in lowercase.
 * `path`: URLPattern pathname syntax. `method`: tokens, compared as written. `header`, `cookie`, `query`: name → true (present),
 * false (absent), or a value or list of values (exact; a trailing `*` matches a prefix). `country`: ISO codes; matches nothing where the client's is not known.
 */
export interface MatchSpec {
  readonly host?: OneOrMany;
  readonly path?: OneOrMany;
  readonly method?: OneOrMany;
  readonly header?: Readonly<Record<string, boolean | OneOrMany>>;
  readonly cookie?: Readonly<Record<string, boolean | OneOrMany>>;
  readonly query?: Readonly<Record<string, boolean | OneOrMany>>;
  readonly country?: OneOrMany;
  readonly not?: MatchSpec | readonly MatchSpec[];
}

/** What a request must show to be matched. */
export interface Matchable {
  readonly method: string;
  /** Lowercase host without port; IPv6 in brackets. */
  readonly host: string;
  /** Path without query, as on the wire (percent-encoded). */
  readonly path: string;
  /** Query without "?", or "". */
  readonly query: string;
  readonly fields: Fields;
  /** ISO 3166 code or "". Reading it may look it up. */
  readonly country: string;
}

/** One entry handed to `compileMatcher`: alternatives of which the first that matches counts. An empty list matches everything. */
export interface MatchEntry {
  readonly specs: readonly MatchSpec[];
}

/** Path groups by name ("0", "1", … for unnamed ones), percent-encoded as on the wire but for letters, digits and `-._~`; null when there are none. */
export type Params = Readonly<Record<string, string>>;

export interface MatchResult {
  /** Indices of the entries that match, ascending. The same set is the same frozen array, so that callers may key plans by identity. */
  readonly indices: readonly number[];
  /** Beside each index its path groups, or null. */
  readonly params: readonly (Params | null)[];
}

export interface Matcher {
  /** All entries that match. Cost does not grow with the number of entries that don't. */
  all(request: Matchable): MatchResult;
  /** The index that `first` gives for every request, or -1 when it depends on the request. */
  readonly always: number;
  /** The first entry that matches, or -1. */
  first(request: Matchable): number;
}
