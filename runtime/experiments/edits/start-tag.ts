/** One start tag as it stands in the page: where its attributes are, what they say, and how it is written with others. */
import { Buffer } from "node:buffer";
import { QuoteType, Tokenizer } from "htmlparser2";
import { type Charset, pageText, textOfPage } from "./charset.ts";

/** More attributes than anyone writes: such a tag passes unedited. */
const MAX_ATTRIBUTES = 256;

/** Reads bytes of the page, as Latin-1, by their offsets in it. */
export type ReadPage = (start: number, end: number) => string;

/** Offsets of a tag's attributes; reused for every tag of a page. */
export class StartTag {
  name = "";
  /** Of `<`. */
  start = 0;
  nameEnd = 0;
  /** Behind `>`; 0 until it came. */
  end = 0;
  /** Attributes are written down. */
  recording = false;
  tooMany = false;
  /** Index of the next sibling's place: this element is the `place`th child. */
  place = 0;

  #count = 0;
  readonly #names: string[] = [];
  readonly #nameStart: number[] = [];
  readonly #nameEnd: number[] = [];
  readonly #valueStart: number[] = [];
  readonly #valueEnd: number[] = [];
  readonly #quote: QuoteType[] = [];
  readonly #end: number[] = [];
  #charset: Charset | null = null;
  #read: ReadPage = () => "";

  begin(name: string, start: number, nameEnd: number, recording: boolean): void {
    this.name = name;
    this.start = start;
    this.nameEnd = nameEnd;
    this.end = 0;
    this.recording = recording;
    this.tooMany = false;
    this.#count = 0;
  }
  attributeNamed(name: string, start: number, end: number): void {
    if (this.#count === MAX_ATTRIBUTES) {
      this.tooMany = true;
      return;
    }
    const i = this.#count++;
    this.#names[i] = name;
    this.#nameStart[i] = start;
    this.#nameEnd[i] = end;
    this.#valueStart[i] = -1;
    this.#valueEnd[i] = -1;
    this.#quote[i] = QuoteType.NoValue;
    this.#end[i] = end;
  }
  valueRead(start: number, end: number): void {
    if (this.tooMany) return;
    const i = this.#count - 1;
    if (this.#valueStart[i] === -1) this.#valueStart[i] = start;
    this.#valueEnd[i] = end;
  }
  attributeEnded(quote: QuoteType, end: number): void {
    if (this.tooMany) return;
    const i = this.#count - 1;
    this.#quote[i] = quote;
    this.#end[i] = quote === QuoteType.NoValue ? this.#nameEnd[i]! : end;
  }
  /** The tag is whole: `read` gives its bytes until the next one begins. */
  complete(end: number, charset: Charset, read: ReadPage): void {
    this.end = end;
    this.#charset = charset;
    this.#read = read;
  }

  /** The value of the first attribute of that name, as the page's bytes with references undone; null: there is none. */
  value(name: string): string | null {
    const i = this.#indexOf(name);
    return i < 0 ? null : undone(this.#rawValue(i), this.#charset!);
  }

  /** Names and values as text, in their order; of two attributes of a name the first, which is the one that counts. */
  attributes(): [name: string, value: string][] {
    const charset = this.#charset!;
    const all: [string, string][] = [];
    for (let i = 0; i < this.#count; i++) {
      const name = this.#names[i]!;
      if (this.#indexOf(name) === i) all.push([textOfPage(name, charset), textOfPage(undone(this.#rawValue(i), charset), charset)]);
    }
    return all;
  }

  #indexOf(name: string): number {
    for (let i = 0; i < this.#count; i++) if (this.#names[i] === name) return i;
    return -1;
  }
  #rawValue(i: number): string {
    const start = this.#valueStart[i]!;
    return start < 0 ? "" : this.#read(start, this.#valueEnd[i]!);
  }

  /** The whole tag with `edits` made, or null when they change nothing. */
  edited(edits: readonly AttributeEdit[]): Buffer | null {
    const changes = new Map<string, AttributeState>();
    for (const edit of edits) this.#change(edit, changes);
    const splices: Splice[] = [];
    let added = "";
    for (const [name, { written, index, raw, changed }] of changes) {
      if (!changed) continue;
      if (index < 0) added += raw === null ? "" : ` ${written}="${requoted(raw)}"`;
      else if (raw === null) this.#takeOut(name, splices);
      else splices.push(this.#replacement(index, raw));
    }
    if (added !== "") splices.push({ start: this.nameEnd, end: this.nameEnd, text: added });
    if (splices.length === 0) return null;
    splices.sort((a, b) => a.start - b.start);
    let text = "";
    let from = this.start;
    for (const splice of splices) {
      text += this.#read(from, splice.start) + splice.text;
      from = splice.end;
    }
    return Buffer.from(text + this.#read(from, this.end), "latin1");
  }

  #change(edit: AttributeEdit, changes: Map<string, AttributeState>): void {
    const { name } = edit;
    let state = changes.get(name);
    if (state === undefined) {
      const index = this.#indexOf(name);
      state = { written: edit.written, index, raw: index < 0 ? null : this.#rawValue(index), changed: false };
      changes.set(name, state);
    }
    const raw = afterEdit(edit, state.raw, this.#charset!);
    if (raw === state.raw) return;
    state.raw = raw;
    state.changed = true;
  }

  /** Every attribute of that name: the first gone, the second would count. */
  #takeOut(name: string, splices: Splice[]): void {
    for (let i = 0; i < this.#count; i++) {
      if (this.#names[i] !== name) continue;
      const end = this.#end[i]!;
      let start = this.#nameStart[i]!;
      const limit = i === 0 ? this.nameEnd : this.#end[i - 1]!;
      while (start > limit && isBlank(this.#read(start - 1, start))) start--;
      const next = this.#read(end, end + 1);
      // `a="1"b="2"c="3"`: what stood around it must not grow together.
      splices.push({ start, end, text: start < this.#nameStart[i]! && !isBlank(next) && next !== "/" && next !== ">" ? " " : "" });
    }
  }

  #replacement(i: number, raw: string): Splice {
    const quote = this.#quote[i]!;
    if (quote === QuoteType.Double || quote === QuoteType.Single) return { start: this.#valueStart[i]!, end: this.#valueEnd[i]!, text: raw };
    return { start: this.#nameEnd[i]!, end: this.#end[i]!, text: `="${requoted(raw)}"` };
  }
}

interface Splice {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

interface AttributeState {
  readonly written: string;
  readonly index: number;
  /** As it stands between its quotes; null: no such attribute. */
  raw: string | null;
  changed: boolean;
}

/** An edit of one attribute; `name` in lowercase, `written` as it shall stand in the page. */
export interface AttributeEdit {
  readonly kind: "set" | "remove" | "addClass" | "removeClass";
  readonly name: string;
  readonly written: string;
  /** Of "set". */
  readonly value: string;
  readonly classes: readonly string[];
}

const SPACES = /[\t\n\f\r ]+/;

function afterEdit(edit: AttributeEdit, raw: string | null, charset: Charset): string | null {
  switch (edit.kind) {
    case "set":
      return inPage(edit.value, charset);
    case "remove":
      return null;
    case "addClass": {
      const had = tokensOf(raw, charset);
      const missing = edit.classes.map((name) => inPage(name, charset)).filter((name) => !had.includes(undone(name, charset)));
      if (missing.length === 0) return raw;
      const before = raw === null || raw.trim() === "" ? "" : `${raw.trimEnd()} `;
      return before + [...new Set(missing)].join(" ");
    }
    case "removeClass": {
      if (raw === null) return null;
      const gone = edit.classes.map((name) => undone(inPage(name, charset), charset));
      const tokens = raw.split(SPACES).filter((token) => token !== "");
      const left = tokens.filter((token) => !gone.includes(undone(token, charset)));
      return left.length === tokens.length ? raw : left.join(" ");
    }
  }
}

function tokensOf(raw: string | null, charset: Charset): readonly string[] {
  return raw === null ? [] : raw.split(SPACES).map((token) => undone(token, charset));
}

/** A value of ours, as bytes that may stand between quotes of either kind. */
function inPage(value: string, charset: Charset): string {
  return pageText(escapeAttribute(value), charset, "markup");
}

/** A value that stood between single quotes, or none, as it may stand between double ones. */
function requoted(raw: string): string {
  return raw.includes('"') ? raw.replaceAll('"', "&quot;") : raw;
}

function isBlank(character: string): boolean {
  return character === " " || character === "\n" || character === "\t" || character === "\r" || character === "\f";
}

const ESCAPES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };

export function escapeAttribute(value: string): string {
  return value.replace(/[&<>"']/g, (character) => ESCAPES[character]!);
}

export function escapeText(text: string): string {
  return text.replace(/[&<>]/g, (character) => ESCAPES[character]!);
}

/** Character references in an attribute's bytes undone, the characters written as the page would. */
function undone(raw: string, charset: Charset): string {
  if (!raw.includes("&")) return raw;
  const source = `<a a="${requoted(raw)}">`;
  let out = "";
  // The tokenizer reads references as a page's reader does, so it is asked again rather than copied.
  const tokenizer = new Tokenizer(
    { decodeEntities: true },
    {
      ...DEAF,
      onattribdata: (start, end) => {
        out += source.slice(start, end);
      },
      onattribentity: (code) => {
        out += pageText(String.fromCodePoint(code), charset, "markup");
      },
    },
  );
  tokenizer.write(source);
  return out;
}

const ignore = (): undefined => undefined;
const DEAF = {
  onattribend: ignore,
  onattribname: ignore,
  oncdata: ignore,
  onclosetag: ignore,
  oncomment: ignore,
  ondeclaration: ignore,
  onend: ignore,
  onopentagend: ignore,
  onopentagname: ignore,
  onprocessinginstruction: ignore,
  onselfclosingtag: ignore,
  ontext: ignore,
  ontextentity: ignore,
};
