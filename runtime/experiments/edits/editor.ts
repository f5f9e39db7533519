/** The streaming editor: bytes of a page in, bytes of the edited page out. */
import { Tokenizer } from "htmlparser2";
import { charsetOf, UNDECLARED } from "./charset.ts";
import type { CompiledEdits } from "./compile.ts";
import { type Decide, EditedPage } from "./edited-page.ts";

export interface EditorOptions {
  /** As Content-Type names it; "" when it does not. */
  readonly charset?: string;
  /** For inserted scripts and styles that ask for the page's nonce; "": there is none. */
  readonly nonce?: string;
  /** Called when the first edit is made, before anything of it is given out. */
  readonly onEdit?: () => void;
}

/** Edits one page, piece by piece. While a promise is open, nothing may be written. */
export interface PageEditor {
  /** What may leave now. Pieces may be views of `bytes`: use or copy them before `bytes` changes. Rejects with a `GatewayError`, and then for good. */
  write(bytes: Buffer): Buffer[] | Promise<Buffer[]>;
  /** The rest. Nothing may be written afterwards. */
  end(): Buffer[];
  /** Nobody wants the rest; nothing is written afterwards. */
  stop?(): void;
}

const BOM_BYTES = 3;
const UNDECIDED: Decide = () => [];

/** For one page. Never throws for what a page holds. `decide`: what callbacks make of a tag; left out: nothing. */
export class HtmlEditor implements PageEditor {
  #page: EditedPage | null;
  readonly #tokenizer: Tokenizer | null;
  /** The first bytes, which may be a byte order mark. */
  readonly #first: number[] = [];

  constructor(compiled: CompiledEdits, options: EditorOptions = {}, decide: Decide = UNDECIDED) {
    const charset = charsetOf(options.charset ?? "");
    this.#page =
      compiled.empty || charset === null
        ? null
        : new EditedPage(compiled, charset, charset !== UNDECLARED, options.nonce ?? "", decide, options.onEdit ?? null);
    this.#tokenizer = this.#page === null ? null : new Tokenizer({ decodeEntities: false }, this.#page);
  }

  write(bytes: Buffer): Buffer[] {
    if (bytes.length > 0 && this.#first.length < BOM_BYTES) this.#lookForMark(bytes);
    const page = this.#page;
    if (page === null || this.#tokenizer === null) return [bytes];
    this.#tokenizer.write(page.begin(bytes));
    page.finish();
    return page.window.take();
  }

  end(): Buffer[] {
    const page = this.#page;
    const tokenizer = this.#tokenizer;
    if (page === null || tokenizer === null) return [];
    page.end(() => tokenizer.end());
    return page.window.take();
  }

  #lookForMark(bytes: Buffer): void {
    const first = this.#first;
    for (let i = 0; i < bytes.length && first.length < BOM_BYTES; i++) first.push(bytes[i]!);
    // UTF-16: what looks like markup there is none. One byte may have passed already, which is text.
    if ((first[0] === 0xfe && first[1] === 0xff) || (first[0] === 0xff && first[1] === 0xfe)) this.#page = null;
    else if (first[0] === 0xef && first[1] === 0xbb && first[2] === 0xbf) this.#page?.marked(charsetOf("utf-8") ?? UNDECLARED);
  }
}
