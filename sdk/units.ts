/** Quantities as they are written in configs: a number and its unit in one string, checked by type. */

/**
 * A length of time: a number and `ms`, `s`, `m`, `h` or `d`, without a space. Fractions are allowed (`"1.5s"`), negative ones are not.
 *
 * @example
 * import type { Duration } from "sluice"
 * const patience: Duration = "250ms"
 */
export type Duration = `${number}${"ms" | "s" | "m" | "h" | "d"}`;

/**
 * A number of bytes: a number and `B`, `KiB` (1,024), `MiB` or `GiB`, without a space.
 *
 * @example
 * import type { Size } from "sluice"
 * const page: Size = "64KiB"
 */
export type Size = `${number}${"B" | "KiB" | "MiB" | "GiB"}`;

/**
 * A part of a whole, from `"0%"` (none) to `"100%"` (all).
 *
 * @example
 * import type { Share } from "sluice"
 * const sampled: Share = "5%"
 */
export type Share = `${number}%`;

/** A value that JSON can carry: what crosses into and out of a sandbox. */
export type JsonValue = string | number | boolean | null | readonly JsonValue[] | { readonly [name: string]: JsonValue | undefined };
