/**
 * The door of the cache's policy: RFC 9111 as a shared cache, and what belongs to it, as pure functions. No I/O, no clock:
 * now is handed in as Unix milliseconds. What may be stored is computed once, when an answer comes, and kept as numbers;
 * a fresh hit is a comparison.
 */
import type { Fields } from "../../proxy/fields.ts";
import type {
  ByteRange,
  CacheStatus,
  Freshness,
  MultipartLayout,
  RangeAnswer,
  RequestTerms,
  ResponseDirectives,
  Storable,
  StoreOptions,
  Timing,
  Verdict,
} from "./terms.ts";

export type * from "./terms.ts";

/** Once per exchange, on the request as it stands after onRequest. */
export declare function readRequest(method: string, fields: Fields): RequestTerms;
export declare function parseCacheControl(fieldLines: readonly string[]): ResponseDirectives;
/** May this answer be stored, for how long, and which fields of it? Also after a 304: with `merge304`'s fields and the stored status. */
export declare function storable(request: RequestTerms, status: number, fields: Fields, options: StoreOptions, timing: Timing): Storable;
/** `entry` is the variant that `varyKey` selected, or null. `honourClient` false: request directives of clients count for nothing (except no-store, which bypasses). */
export declare function decide(request: RequestTerms, entry: Freshness | null, nowMs: number, honourClient: boolean): Verdict;
/** The origin could not be reached or answered 500, 502, 503 or 504: may the entry be served (RFC 5861 section 4)? */
export declare function mayServeOnError(request: RequestTerms, entry: Freshness, nowMs: number): boolean;
export declare function ageSeconds(entry: Freshness, nowMs: number): number;
/** The request's fields for the origin when the answer shall fill the cache: the client's conditions and ranges taken out, the stored answer's validators put in. */
export declare function originFields(request: Fields, stored: Fields | null): Fields;
/** The stored fields as a 304 makes them (RFC 9111 section 3.2); then `storable` once more. */
export declare function merge304(stored: Fields, answer: Fields, responseAtMs: number): Fields;
/** What a 200 to a HEAD says about the stored GET (RFC 9111 section 4.3.5). "update": `merge304`, then `storable`; lengths are -1 when unknown. */
export declare function headEffect(stored: Fields, storedLengthBytes: number, answer: Fields, declaredLengthBytes: number): "update" | "invalidate";
/** Does the client hold what is stored? Then answer 304 with `notModifiedFields`. */
export declare function notModifiedFor(request: Fields, stored: Fields, entry: Freshness): boolean;
/** RFC 9110 section 15.4.5. */
export declare function notModifiedFields(stored: Fields): Fields;
/** Only for a stored 200 to a GET. */
export declare function rangeFor(request: Fields, stored: Fields, lengthBytes: number): RangeAnswer;
export declare function contentRange(part: ByteRange | null, lengthBytes: number): string;
export declare function multipartLayout(parts: readonly ByteRange[], contentType: string, lengthBytes: number, boundary: string): MultipartLayout;
/** Injective for given names. */
export declare function varyKey(names: readonly string[], request: Fields): string;
/** Same-origin targets (path and query) that an answer to an unsafe request makes invalid; empty when it failed. */
export declare function invalidatedTargets(request: RequestTerms, status: number, fields: Fields, scheme: string, authority: string, target: string): string[];
/** The member to append to the response's Cache-Status. */
export declare function cacheStatus(status: CacheStatus): string;
