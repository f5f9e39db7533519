/** The same set of entries is the same frozen array, so that callers key plans by identity; without building a key per request. */
import type { MatchResult, Params } from "./match.ts";

class Row {
  readonly next = new Map<number, Row>();
  readonly result: MatchResult;

  constructor(indices: readonly number[]) {
    this.result = Object.freeze({ indices: Object.freeze(indices), params: Object.freeze(indices.map(() => null)) });
  }
}

export class ResultTable {
  readonly #limit: number;
  #root = new Row([]);
  #size = 0;

  /** Conditions on headers let clients choose among 2ⁿ sets: at `limit` rows the table begins anew. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** `params` null: none of the entries has groups. */
  get(indices: readonly number[], params: readonly (Params | null)[] | null): MatchResult {
    let row = this.#root;
    for (let depth = 0; depth < indices.length; depth++) row = row.next.get(indices[depth]!) ?? this.#add(row, indices, depth);
    return params === null ? row.result : { indices: row.result.indices, params };
  }

  #add(row: Row, indices: readonly number[], depth: number): Row {
    if (this.#size >= this.#limit) {
      this.#root = new Row([]);
      this.#size = 0;
      row = this.#root;
      for (let at = 0; at < depth; at++) row = this.#put(row, indices, at);
    }
    return this.#put(row, indices, depth);
  }

  #put(row: Row, indices: readonly number[], depth: number): Row {
    const added = new Row(indices.slice(0, depth + 1));
    row.next.set(indices[depth]!, added);
    this.#size++;
    return added;
  }
}
