/**
 * The door of the cache's policy: RFC 9111 as a shared cache, and what belongs to it, as pure functions. No I/O, no clock:
 * now is handed in as Unix milliseconds. What may be stored is computed once, when an answer comes, and kept as numbers;
 * a fresh hit is a comparison.
 */
export type * from "./terms.ts";

/** Once per exchange, on the request as it stands after onRequest. `honourClient` false: what clients say in Cache-Control counts for nothing. */
export { readRequest } from "./request.ts";
/** `entry` is the variant that `varyKey` selected, or null. `mayServeOnError`: the origin could not be reached or answered 500, 502, 503 or 504. */
export { ageSeconds, decide, mayServeOnError } from "./reuse.ts";
/** May this answer be stored, for how long, and which fields of it? Also after a 304: with `merge304`'s fields and the stored status. */
export { storable } from "./storable.ts";
/**
 * originFields: the request's fields for the origin when the answer shall fill the cache: the client's conditions and ranges taken
 * out, the stored answer's validators and our Surrogate-Capability put in. merge304: the stored fields as a 304 makes them; then `storable` once more.
 * headEffect: what a 200 to a HEAD says about the stored GET (RFC 9111 section 4.3.5): "update" as after a 304, or drop it; lengths -1
 * when unknown. notModifiedFor: the client holds what is stored: 304 with `notModifiedFields`.
 */
export { headEffect, merge304, notModifiedFields, notModifiedFor, originFields } from "./conditional.ts";
/** Only for a stored 200 to a GET. */
export { contentRange, multipartLayout, rangeFor } from "./ranges.ts";
/** Injective for given names. */
export { varyKey } from "./vary.ts";
export { invalidatedTargets } from "./invalidation.ts";
export { cacheStatus } from "./cache-status.ts";
export { httpDate } from "./dates.ts";
