/** Which requests a rule or route is meant for: data, decided in the proxy core before any sandbox is entered. */

/** One string, or a list of which one must match. An empty list matches nothing. */
export type OneOrMany = string | readonly string[];

/**
 * Conditions on a request; all that are given must hold, and one that is left out does not matter. Used by `when` of a rule and `match` of a
 * route. A list of these matches when one of them does.
 *
 * It is plain data, read when the release is compiled: a matching request costs no call into the sandbox, and a value that is computed at
 * request time has no place here (read it in `onRequest`).
 *
 * @example
 * import { defineRule } from "sluice"
 * export default defineRule({
 *   when: [
 *     { host: "*.example.com", path: "/products/:id", method: ["GET", "HEAD"] },
 *     { path: "/api/*", header: { "x-debug": true }, not: { cookie: { staff: "yes" } } },
 *   ],
 *   onRequest(req, ctx) { ctx.log("product", req.params.id) },
 * })
 */
export interface MatchSpec {
  /** Host name without port, compared in lowercase: exact, or `*.example.com` for one or more labels before it. */
  readonly host?: OneOrMany;
  /**
   * URLPattern pathname syntax: `/products/:id`, `/old/*`, `/:lang(de|en)/*`. Groups arrive as `req.params`, unnamed ones as `"0"`, `"1"`, … Compared with dot segments resolved
   * and letters, digits and `-._~` unescaped (`/x/../%61dmin` is `/admin`); case, `//` and other escapes (`%2F`) count as they stand.
   */
  readonly path?: OneOrMany;
  /** Methods, compared as written: `"GET"`, not `"get"`. */
  readonly method?: OneOrMany;
  /** By name: `true` (present), `false` (absent), or a value or list of values (exact; a trailing `*` matches a prefix). */
  readonly header?: Readonly<Record<string, boolean | OneOrMany>>;
  /** Cookies by name, with values as in `header`. */
  readonly cookie?: Readonly<Record<string, boolean | OneOrMany>>;
  /** Query parameters by name, with values as in `header`. */
  readonly query?: Readonly<Record<string, boolean | OneOrMany>>;
  /**
   * ISO 3166 codes in capitals, of the client's country. Needs `geo` in config; matches nothing without it, and nobody whose country is not known (for
   * whom `not: { country }` holds).
   *
   * The gateway's cache keeps what such a rule makes apart from what it makes for others. Caches in front know nothing of that: where the rule changes
   * a page that they may keep, say `Cache-Control: private` in `onResponse`.
   */
  readonly country?: OneOrMany;
  /** Must not match: one spec, or a list of which none may. */
  readonly not?: MatchSpec | readonly MatchSpec[];
}
