/**
 * Edited forms of stored pages: made once from the stored body, and found by it, so that they end with it (purged, outdated, or evicted: nobody
 * asks for them any more). Bounded in bytes, the least recently used out first.
 */
import { LRUCache } from "lru-cache";
import type { BodySource } from "../exchange.ts";

/** A longer page streams through its edits each time. */
const MAX_PAGE_BYTES = 1024 * 1024;
const OVERHEAD_BYTES = 300;

export class DerivedPages {
  readonly #pages: LRUCache<string, Buffer> | null;
  /** A number for each stored body. */
  readonly #numbers = new WeakMap<Buffer, number>();
  readonly #making = new Map<string, Promise<Buffer>>();
  #next = 1;
  made = 0;

  /** 0: none are kept. */
  constructor(limitBytes: number) {
    this.#pages =
      limitBytes < OVERHEAD_BYTES ? null : new LRUCache({ maxSize: limitBytes, sizeCalculation: (page, key) => page.length + key.length * 2 + OVERHEAD_BYTES });
  }

  /** The page as edited; `edit` makes it when nobody has. null: it is not kept. */
  get(stored: Buffer, edits: string, edit: () => BodySource): Buffer | Promise<Buffer> | null {
    if (this.#pages === null || stored.length > MAX_PAGE_BYTES) return null;
    let number = this.#numbers.get(stored);
    if (number === undefined) this.#numbers.set(stored, (number = this.#next++));
    const key = `${number} ${edits}`;
    const kept = this.#pages.get(key) ?? this.#making.get(key);
    if (kept !== undefined) return kept;
    const making = whole(edit()).then(
      (page) => {
        this.#making.delete(key);
        this.made++;
        this.#pages!.set(key, page);
        return page;
      },
      (thrown: unknown) => {
        this.#making.delete(key);
        throw thrown;
      },
    );
    this.#making.set(key, making);
    return making;
  }
}

/** Not from Node's pool: a small page that stays would keep a slab with others that went. */
function joined(pieces: readonly Buffer[]): Buffer {
  const page = Buffer.allocUnsafeSlow(pieces.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const piece of pieces) at += piece.copy(page, at);
  return page;
}

/** Bounded by what was stored, and by what edits may insert. */
function whole(body: BodySource): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const pieces: Buffer[] = [];
    body.read({
      chunk: (bytes) => {
        pieces.push(Buffer.from(bytes));
        return true;
      },
      end: () => resolve(joined(pieces)),
      error: reject,
    });
  });
}
