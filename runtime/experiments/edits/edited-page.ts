/**
 * One page on its way through: listens to the tokenizer, keeps the stack of open elements, and tells the window what leaves, what is left out and
 * what is put in between. Nothing depends on how the page was cut into chunks: decisions fall at tags, by offsets in the page.
 */
import type { QuoteType, TokenizerCallbacks } from "htmlparser2";
import { type Charset, charsetOf } from "./charset.ts";
import type { Action, CompiledEdits, ElementAction, ElementCallback } from "./compile.ts";
import { type Content, surroundingIn } from "./content.ts";
import { fits } from "./element-match.ts";
import { Endings } from "./endings.ts";
import { type Ending, OpenElements } from "./open-elements.ts";
import { PageWindow } from "./page-window.ts";
import { type ElementPlan, planOf } from "./plan.ts";
import { asciiLower } from "./selector.ts";
import { StartTag } from "./start-tag.ts";
import { RAW, VOID } from "./tags.ts";

/** A longer tag passes unedited (data: URLs); its element still counts. */
const MAX_TAG_BYTES = 64 * 1024;
/** A longer name is no element that anyone selects. */
const MAX_NAME_BYTES = 128;
/** Within so many bytes a page has to say what its character set is (HTML, 4.2.5.4). */
const META_WITHIN_BYTES = 1024;
/** What edits may add to one page; when it is used up, the rest passes unedited. */
const MAX_INSERTED_BYTES = 4 * 1024 * 1024;
/** `</plaintext` and the character behind it. */
const LONGEST_RAW_END = 12;
const NO_STEPS: readonly number[] = [];
const CHARSET_IN_CONTENT = /charset\s*=\s*["']?\s*([^\s;"']+)/i;

/** Callbacks' part in a page: what one of them makes of a matched tag. Nobody is waited for. */
export type Decide = (callback: ElementCallback, tag: StartTag) => readonly ElementAction[];

export class EditedPage implements TokenizerCallbacks {
  readonly window = new PageWindow();
  readonly #compiled: CompiledEdits;
  readonly #nonce: string;
  readonly #decide: Decide;
  readonly #open: OpenElements;
  readonly #endings: Endings;
  readonly #tag = new StartTag();
  #charset: Charset;
  #charsetKnown: boolean;

  /** Where the last whole token ended. */
  #tokenEnd = 0;
  /** What stands behind it is a comment or the like: nothing there is waited for. */
  #inComment = false;
  #inTag = false;
  #inRaw = false;
  #tagIsForeign = false;
  /** Steps that the tag may match. */
  #possible: readonly number[] = NO_STEPS;
  /** Elements open beyond the deepest that are kept. */
  #overflow = 0;
  /** No further element is edited. */
  #stopped = false;
  #insertedBytes = 0;
  #atEnd = false;
  /** A doctype or `<html>` came: a page, not a piece of one. */
  #isDocument = false;
  #headSettled: boolean;
  #hasBody = false;
  /** Somebody wants to know that something is edited. */
  #onEdit: (() => void) | null;

  constructor(compiled: CompiledEdits, charset: Charset, charsetKnown: boolean, nonce: string, decide: Decide, onEdit: (() => void) | null) {
    this.#onEdit = onEdit;
    this.#decide = decide;
    this.#compiled = compiled;
    this.#charset = charset;
    this.#charsetKnown = charsetKnown;
    this.#nonce = nonce;
    this.#open = new OpenElements(compiled);
    this.#endings = new Endings(this.window, this.#open);
    this.#headSettled = compiled.headInserts.length === 0;
  }

  /** A byte order mark tells more than any declaration (WHATWG Encoding, section 6). */
  marked(charset: Charset): void {
    this.#charset = charset;
    this.#charsetKnown = true;
  }

  /** Before the tokenizer reads the chunk. */
  begin(chunk: Buffer): string {
    const text = this.window.begin(chunk);
    if (this.#endings.awaitsTagEnd) this.#seekTagEnd(this.window.end - chunk.length);
    return text;
  }

  /** After the tokenizer has read the chunk. */
  finish(): void {
    this.window.finish(this.#holdFrom());
  }

  /** The page is complete, `finish` was called for its last chunk. */
  end(tokenizerEnd: () => void): void {
    this.#atEnd = true;
    const { window } = this;
    // The last chunk may have been written over; what was held back was copied.
    window.begin(NO_BYTES);
    tokenizerEnd();
    // What is open ends before an incomplete tag, which readers leave out; inside an unfinished comment or script nothing can be put.
    if (window.cursor <= this.#tokenEnd && !this.#inRaw && !this.#endings.awaitsTagEnd) {
      while (this.#open.depth > 1) this.#endings.implied(this.#tokenEnd);
      if (this.#isDocument && !this.#hasBody) this.#put(this.#compiled.bodyInserts, this.#tokenEnd);
    }
    window.passTo(window.end);
  }

  #holdFrom(): number {
    const { window } = this;
    const { end } = window;
    if (this.#endings.awaitsTagEnd || this.#inComment) return end;
    if (this.#inTag) return end - this.#tag.start <= MAX_TAG_BYTES ? this.#tag.start : end;
    if (this.#inRaw) {
      const from = Math.max(window.cursor, end - LONGEST_RAW_END);
      const less = window.read(from, end).lastIndexOf("<");
      return less < 0 ? end : from + less;
    }
    return this.#holdMarkup(end);
  }

  /** Between tags: what follows the last token is the beginning of one. */
  #holdMarkup(end: number): number {
    const from = Math.max(this.#tokenEnd, this.window.cursor);
    let rest = this.window.read(from, Math.min(end, from + MAX_NAME_BYTES + 3));
    // `</>` is no token at all.
    while (rest.startsWith("</>")) {
      this.#tokenEnd += 3;
      rest = rest.slice(3);
    }
    if (rest === "") return end;
    if (/^<(?:\/?[A-Za-z]|\/?$)/.test(rest)) return rest.length > MAX_NAME_BYTES + 2 ? end : Math.max(this.#tokenEnd, from);
    this.#inComment = /^<[!?/]/.test(rest);
    return end;
  }

  // What the tokenizer tells.

  isInForeignContext(): boolean {
    this.#tagIsForeign = this.#open.inForeign;
    return this.#tagIsForeign;
  }
  ontext(_start: number, end: number): void {
    // At the end of the page it is the rest of a tag.
    if (!this.#atEnd) this.#tokenEnded(end);
  }
  oncomment(_start: number, end: number): void {
    if (!this.#atEnd) this.#tokenEnded(end + 1);
  }
  oncdata(_start: number, end: number): void {
    if (!this.#atEnd) this.#tokenEnded(end + 1);
  }
  ondeclaration(_start: number, end: number): void {
    this.#isDocument = true;
    if (!this.#atEnd) this.#tokenEnded(end + 1);
  }
  onprocessinginstruction(): void {
    throw new Error("the tokenizer found a processing instruction, of which HTML has none");
  }
  ontextentity(): void {
    throw new Error("the tokenizer decoded an entity, which it was told to leave");
  }
  onattribentity(): void {
    throw new Error("the tokenizer decoded an entity, which it was told to leave");
  }
  onend(): void {
    this.#atEnd = true;
  }

  #tokenEnded(end: number): void {
    this.#tokenEnd = end;
    this.#inComment = false;
  }

  onopentagname(start: number, end: number): void {
    const name = end - start > MAX_NAME_BYTES ? "" : asciiLower(this.window.read(start, end));
    const at = start - 1;
    this.#inComment = false;
    this.#inTag = true;
    if (this.#overflow === 0) this.#tagIsForeign = this.#endings.byStart(name, at, this.#tagIsForeign);
    if (!this.#headSettled || name === "html" || name === "body") this.#noteStructure(name, at);
    this.#possible = this.#candidates(name);
    const declares = name === "meta" && !this.#charsetKnown && at < META_WITHIN_BYTES;
    this.#tag.begin(name, at, end, this.#possible.length > 0 || declares);
  }
  onattribname(start: number, end: number): void {
    if (this.#records(end)) this.#tag.attributeNamed(asciiLower(this.window.read(start, end)), start, end);
  }
  onattribdata(start: number, end: number): void {
    if (this.#records(end)) this.#tag.valueRead(start, end);
  }
  onattribend(quote: QuoteType, end: number): void {
    if (this.#records(end)) this.#tag.attributeEnded(quote, end);
  }
  onopentagend(end: number): void {
    this.#tagEnded(end + 1, false);
  }
  onselfclosingtag(end: number): void {
    this.#tagEnded(end + 1, true);
  }

  #records(end: number): boolean {
    return this.#tag.recording && end - this.#tag.start <= MAX_TAG_BYTES;
  }

  /** A page may leave out the tags of html, head and body (HTML, 13.1.2.4); what goes into the head goes before its first other element then. */
  #noteStructure(name: string, at: number): void {
    if (name === "html") this.#isDocument = true;
    else if (name === "body") this.#hasBody = true;
    if (name === "html" || this.#headSettled) return;
    this.#headSettled = true;
    if (name !== "head" && this.#isDocument) this.#put(this.#compiled.headInserts, at);
  }

  #candidates(name: string): readonly number[] {
    if (this.#stopped || this.#overflow > 0 || this.window.dropping || name === "") return NO_STEPS;
    const { byTag, anyTag } = this.#compiled;
    const steps = byTag.get(name) ?? anyTag;
    if (steps.length === 0) return steps;
    const possible = steps.filter((step) => this.#open.mayMatch(step));
    return possible.length === 0 ? NO_STEPS : possible;
  }

  #tagEnded(end: number, selfClosing: boolean): void {
    const tag = this.#tag;
    const { name } = tag;
    const open = this.#open;
    const foreign = this.#tagIsForeign;
    this.#inTag = false;
    this.#tokenEnded(end);
    tag.place = ++open.top.children;
    let matched = NO_STEPS;
    if (tag.recording && !tag.tooMany && end - tag.start <= MAX_TAG_BYTES) {
      tag.complete(end, this.#charset, this.#read);
      if (name === "meta" && !this.#charsetKnown && end <= META_WITHIN_BYTES) this.#readMeta();
      matched = this.#possible.filter((step) => fits(this.#compiled.steps[step]!.compound, tag, this.#charset));
    }
    const rootsForeign = name === "svg" || name === "math";
    const closed = foreign || rootsForeign ? selfClosing : VOID.has(name);
    const ending = matched.length === 0 ? null : this.#edit(matched, closed, foreign);
    this.#inRaw = !foreign && RAW.has(name);
    if (closed || name === "") return;
    if (open.full || this.#overflow > 0) {
      this.#stopped = true;
      this.#overflow++;
    } else open.push(name, foreign || rootsForeign, ending, matched);
  }

  readonly #read = (start: number, end: number): string => this.window.read(start, end);

  #readMeta(): void {
    const tag = this.#tag;
    let label = tag.value("charset");
    if (label === null && asciiLower(tag.value("http-equiv") ?? "") === "content-type")
      label = CHARSET_IN_CONTENT.exec(tag.value("content") ?? "")?.[1] ?? null;
    if (label === null) return;
    // A page whose declaration can be read byte by byte is not in UTF-16 (HTML, 13.2.3.2).
    const charset = charsetOf(/^utf-?16/i.test(label.trim()) ? "utf-8" : label);
    if (charset === null) this.#stopped = true;
    else if (charset.name !== "") this.marked(charset);
  }

  /** Makes the edits of a matched start tag; what is due at its end comes back. */
  #edit(matched: readonly number[], closed: boolean, foreign: boolean): Ending | null {
    const { steps, actions } = this.#compiled;
    const edits = matched.length === 1 ? steps[matched[0]!]!.edits : [...new Set(matched.flatMap((step) => steps[step]!.edits))].sort((a, b) => a - b);
    if (edits.length === 0) return null;
    const { window } = this;
    const tag = this.#tag;
    const surrounding = surroundingIn(tag.name, foreign);
    const plan = planOf(
      this.#decided(edits.map((edit) => actions[edit]!)),
      (content) => content.bytes(this.#charset, surrounding, this.#nonce),
      (content) => content.bytes(this.#charset, "markup", this.#nonce),
    );
    this.#insertedBytes += plan.bytes;
    if (this.#insertedBytes > MAX_INSERTED_BYTES) {
      this.#stopped = true;
      return null;
    }
    if (this.#onEdit !== null) this.#tellEdit();
    window.passTo(tag.start);
    window.insertAll(plan.before);
    if (plan.drops === "all") window.skipTo(tag.end);
    else this.#passTag(plan);
    if (closed) {
      window.insertAll(plan.after);
      return null;
    }
    if (plan.drops !== "all") {
      // A newline right behind these start tags is left out by readers (HTML, 13.2.6.4.7), so one of ours needs a second.
      if (plan.prefix[0]?.[0] === 10 && /^(?:textarea|pre|listing)$/.test(tag.name)) window.insert(NEWLINE);
      window.insertAll(plan.prefix);
    }
    window.dropping = plan.drops !== "nothing";
    return plan.drops === "nothing" && plan.suffix.length === 0 && plan.after.length === 0 ? null : plan;
  }

  #decided(actions: readonly Action[]): readonly ElementAction[] {
    if (!this.#compiled.asks) return actions as readonly ElementAction[];
    return actions.flatMap((action) => (action.kind === "callback" ? this.#decide(action, this.#tag) : [action]));
  }

  #passTag(plan: ElementPlan): void {
    const { window } = this;
    const tag = this.#tag;
    const edited = plan.attributes.length === 0 ? null : tag.edited(plan.attributes);
    if (edited === null) window.passTo(tag.end);
    else {
      window.insert(edited);
      window.skipTo(tag.end);
    }
  }

  /** Once. */
  #tellEdit(): void {
    const tell = this.#onEdit;
    this.#onEdit = null;
    tell?.();
  }

  #put(contents: readonly Content[], at: number): void {
    if (contents.length === 0 || this.#stopped) return;
    if (this.#onEdit !== null) this.#tellEdit();
    this.window.passTo(at);
    for (const content of contents) this.window.insert(content.bytes(this.#charset, "markup", this.#nonce));
  }

  onclosetag(start: number, end: number): void {
    const at = start - 2;
    const name = end - start > MAX_NAME_BYTES ? "" : asciiLower(this.window.read(start, end));
    this.#inRaw = false;
    this.#inComment = false;
    if (this.#overflow > 0) this.#overflow--;
    else if (name !== "") this.#endings.byTag(name, at);
    this.#endings.awaitTagEnd();
    this.#seekTagEnd(end);
  }

  /** The tokenizer does not tell of the `>` of an end tag. */
  #seekTagEnd(from: number): void {
    const end = this.#endings.seekTagEnd(from);
    if (end >= 0) this.#tokenEnded(end);
  }
}

const NEWLINE = Buffer.from("\n");
const NO_BYTES = Buffer.alloc(0);
