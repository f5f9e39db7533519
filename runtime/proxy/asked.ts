/** A request as routes and rules match it. */
import type { RequestView } from "../sandbox/sandbox.ts";
import type { Fields } from "./fields.ts";
import type { Matchable } from "./match/match.ts";

/** A class, not an object: the country is only looked up for a match that wants it, and costs nothing else to leave out. */
export class Asked implements Matchable {
  readonly method: string;
  readonly host: string;
  readonly path: string;
  readonly query: string;
  readonly fields: Fields;
  readonly #client: { readonly country: string };

  constructor({ method, target, authority }: RequestView, fields: Fields, client: { readonly country: string }) {
    const mark = target.indexOf("?");
    this.method = method;
    this.host = hostOf(authority);
    this.path = mark < 0 ? target : target.slice(0, mark);
    this.query = mark < 0 ? "" : target.slice(mark + 1);
    this.fields = fields;
    this.#client = client;
  }
  get country(): string {
    return this.#client.country;
  }
}

/** Host without port; the front has checked the authority's grammar. */
function hostOf(authority: string): string {
  const bracket = authority.lastIndexOf("]");
  const colon = authority.indexOf(":", bracket + 1);
  return colon < 0 ? authority : authority.slice(0, colon);
}
