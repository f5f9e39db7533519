/**
 * The words of the policy room. Only types: everything here is data that the functions of `policy.ts` take and give.
 * All times are Unix milliseconds (`…AtMs`, `nowMs`) or lengths in milliseconds.
 */
import type { Fields } from "../../proxy/fields.ts";

/** What a request means for a cache, read once per exchange by `readRequest`. A plain GET costs no allocation. */
export interface RequestTerms {
  /** "get" and "head" may be answered from the cache; "safe" (OPTIONS, PROPFIND, …) and "unsafe" never; "unsafe" invalidates. */
  readonly kind: "get" | "head" | "safe" | "unsafe";
  /** Cache-Control (or Pragma) as far as it asks for something; null when it asks for nothing. */
  readonly directives: RequestDirectives | null;
  /** If-None-Match or If-Modified-Since: `notModifiedFor` answers. */
  readonly conditional: boolean;
  /** If-Match or If-Unmodified-Since: only the origin may judge (RFC 9111 section 4.3.2). */
  readonly forOrigin: boolean;
  readonly range: boolean;
  readonly authorization: boolean;
}

/** RFC 9111 section 5.2.1. Lengths in milliseconds; -1: not given. */
export interface RequestDirectives {
  readonly noCache: boolean;
  readonly noStore: boolean;
  readonly onlyIfCached: boolean;
  readonly maxAgeMs: number;
  readonly minFreshMs: number;
  /** Infinity for `max-stale` without a value. */
  readonly maxStaleMs: number;
  /** RFC 5861 section 4 allows it in requests too. */
  readonly staleIfErrorMs: number;
}

/** RFC 9111 section 5.2.2 and RFC 5861. Lengths in milliseconds; -1: not given; 0 when malformed (section 4.2.1: consider it stale). */
export interface ResponseDirectives {
  readonly noStore: boolean;
  /** Without field names. */
  readonly noCache: boolean;
  /** Without field names. */
  readonly private: boolean;
  /** Fields named by `no-cache="…"` and `private="…"`, lowercase: they are not stored. */
  readonly withheldFields: readonly string[];
  readonly public: boolean;
  readonly mustRevalidate: boolean;
  readonly proxyRevalidate: boolean;
  readonly mustUnderstand: boolean;
  readonly immutable: boolean;
  readonly maxAgeMs: number;
  readonly sMaxAgeMs: number;
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
}

/** What a route's config and its rules decide; made when a config or release is swapped in, or per answer when a rule spoke. */
export interface StoreOptions {
  /** Lifetime of an answer that brings none of its own, when its status is heuristically cacheable and no error. 0: none. */
  readonly defaultMs: number;
  /** Upper bound of a heuristic lifetime (a tenth of the time since Last-Modified, RFC 9111 section 4.2.2). 0: no heuristics. Comes before `defaultMs`. */
  readonly heuristicLimitMs: number;
  /** Lifetimes for statuses that bring none of their own (negative caching), e.g. 404 → 10,000. */
  readonly statusMs: ReadonlyMap<number, number>;
  /** A rule's word; takes the place of every lifetime the origin gave. -1: none. */
  readonly lifetimeMs: number;
  /** "yes" stores in spite of no-store, private, Set-Cookie and Authorization (a rule answers for it); "no" never; "uncacheable" never, with a marker. */
  readonly cacheability: "origin" | "yes" | "no" | "uncacheable";
  /** Where the origin says nothing. 0: none. */
  readonly staleWhileRevalidateMs: number;
  readonly staleIfErrorMs: number;
  /** No lifetime exceeds it. */
  readonly maxMs: number;
  /** How long an uncacheable answer leaves a marker so that the next ones don't queue. */
  readonly hitForMissMs: number;
  /** "explicit": only with public, s-maxage or a targeted field; "strip": stored without the cookies; "store": as RFC 9111 section 7.3 allows. */
  readonly setCookie: "explicit" | "strip" | "store";
}

/** When the exchange with the origin began and when its head was there. */
export interface Timing {
  readonly requestAtMs: number;
  readonly responseAtMs: number;
}

/** What is kept beside a stored answer; six numbers, computed once, compared on each hit. */
export interface Freshness {
  /** now − bornAtMs is the current age (RFC 9111 section 4.2.3). */
  readonly bornAtMs: number;
  readonly freshUntilMs: number;
  /** Served and refreshed behind the client's back until then; equals `freshUntilMs` when not allowed. */
  readonly staleWhileRevalidateUntilMs: number;
  readonly staleIfErrorUntilMs: number;
  /** May a client's max-stale be followed? False for must-revalidate, proxy-revalidate, s-maxage, no-cache. */
  readonly staleAllowed: boolean;
  /** RFC 8246: a reload (`max-age=0`) of a fresh entry is still a hit. */
  readonly immutable: boolean;
}

export type Storable =
  | {
      readonly store: true;
      readonly freshness: Freshness;
      /** Sorted lowercase names of the selecting request fields; empty without Vary. */
      readonly varyNames: readonly string[];
      /** What is stored and served: without Age, proxy authentication, withheld fields; with a valid Date. */
      readonly fields: Fields;
    }
  | {
      readonly store: false;
      readonly reason: Uncacheable;
      /** 0: leave no marker, the reason lies in this request alone. For "authorization" only requests that carry it too may be told by the marker. */ readonly hitForMissMs: number;
    };

/** Stands in Cache-Status as `detail`, in logs and in `explain`. */
export type Uncacheable =
  | "method"
  | "status"
  | "not-understood"
  | "request-no-store"
  | "no-store"
  | "private"
  | "authorization"
  | "set-cookie"
  | "vary-any"
  | "no-lifetime"
  | "expired"
  | "rule";

/**
 * hit: serve. stale: serve, and refresh behind the client's back. stale-allowed: serve, the client asked for no better (max-stale).
 * revalidate: ask the origin with `originFields`; the entry may still serve when that fails (`mayServeOnError`).
 * miss: ask, and store. bypass: ask, neither look nor store. gateway-timeout: 504 (only-if-cached).
 */
export type Verdict = "hit" | "stale" | "stale-allowed" | "revalidate" | "miss" | "bypass" | "gateway-timeout";

export interface ByteRange {
  readonly first: number;
  /** Inclusive, as on the wire. */
  readonly last: number;
}

export type RangeAnswer =
  | { readonly kind: "whole" }
  /** 206; one part: Content-Range on the response; several: multipart/byteranges by `multipartLayout`. */
  | { readonly kind: "partial"; readonly parts: readonly ByteRange[] }
  /** 416 with a Content-Range of "bytes *" and the length. */
  | { readonly kind: "unsatisfiable" };

export interface MultipartLayout {
  readonly contentType: string;
  readonly lengthBytes: number;
  /** One for each part, written before its bytes (Latin-1). */
  readonly heads: readonly string[];
  readonly tail: string;
}

/** RFC 9211. */
export interface CacheStatus {
  readonly hit: boolean;
  /** Why the request went forward; null when it didn't. */
  readonly fwd: "bypass" | "method" | "uri-miss" | "vary-miss" | "miss" | "request" | "stale" | "partial" | null;
  /** 0: not known. */
  readonly fwdStatus: number;
  /** Remaining lifetime in milliseconds, negative when stale; null: left out. */
  readonly ttlMs: number | null;
  readonly stored: boolean;
  readonly collapsed: boolean;
  /** "" is left out. */
  readonly detail: string;
}
