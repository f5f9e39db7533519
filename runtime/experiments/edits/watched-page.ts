/**
 * Would edits change a page? It is read as the editor reads it, and passes as it came: who is shown the page unedited, and who sees another
 * variant, is then counted at the same pages as who sees it edited.
 */
import { Buffer } from "node:buffer";
import type { Transform } from "node:stream";
import type { BodySource } from "../../proxy/exchange.ts";
import { EditedBody } from "./body.ts";
import { unpacking } from "./coded-body.ts";
import type { CompiledEdits } from "./compile.ts";
import { HtmlEditor, type PageEditor } from "./editor.ts";
import type { PageCoding } from "./fields.ts";

export interface PageWatch {
  /** Sets of edits that each see the page as it came. */
  readonly edits: readonly CompiledEdits[];
  /** One of them would change something. Called once, before the bytes in which it was found are given on. */
  readonly found: () => void;
}

export interface WatchOptions {
  /** As Content-Type names it. */
  readonly charset: string;
  readonly coding: PageCoding;
}

/** What a page unpacks to beyond that is not looked at any more: a bomb, or a page that somebody else has to be counted on. */
const MOST_UNPACKED_BYTES = 32 * 1024 * 1024;

/** The body as it came. A compressed one waits, piece by piece, until it is unpacked and looked at; from the last `found` on nothing waits any more. */
export function watchHtml(body: BodySource, watches: readonly PageWatch[], options: WatchOptions): BodySource {
  return body.length === 0 ? body : new EditedBody(body, new WatchingEditor(watches, options), true);
}

/** The same of a page that is there as a whole. */
export function changesPage(page: Buffer, edits: readonly CompiledEdits[], { charset, coding }: WatchOptions): boolean | Promise<boolean> {
  const watcher = new Watcher({ edits, found: () => undefined }, charset);
  if (coding === "identity" || page.length === 0) {
    watcher.read(page);
    watcher.end();
    return watcher.isDone;
  }
  return new Promise((resolve) => {
    let unpackedBytes = 0;
    const undo = unpacking(coding, page[0]!);
    undo.on("data", (bytes: Buffer) => {
      watcher.read(bytes);
      unpackedBytes += bytes.length;
      if (watcher.isDone || unpackedBytes > MOST_UNPACKED_BYTES) undo.destroy();
    });
    undo.on("end", () => watcher.end());
    // In a page that can't be unpacked nobody finds anything.
    undo.on("error", () => resolve(watcher.isDone));
    undo.on("close", () => resolve(watcher.isDone));
    undo.end(page);
  });
}

class Watcher {
  isDone = false;
  readonly #editors: readonly HtmlEditor[];

  constructor({ edits, found }: PageWatch, charset: string) {
    const once = (): void => {
      if (this.isDone) return;
      this.isDone = true;
      found();
    };
    this.#editors = edits.map((compiled) => new HtmlEditor(compiled, { charset, onEdit: once }));
  }

  read(bytes: Buffer): void {
    for (const editor of this.#editors) if (!this.isDone) editor.write(bytes);
  }
  end(): void {
    for (const editor of this.#editors) if (!this.isDone) editor.end();
  }
}

class WatchingEditor implements PageEditor {
  #watchers: readonly Watcher[];
  readonly #coding: PageCoding;
  #undo: Transform | null = null;
  #unpackedBytes = 0;
  /** Lets the piece go that waits. */
  #pass: (() => void) | null = null;

  constructor(watches: readonly PageWatch[], { charset, coding }: WatchOptions) {
    this.#watchers = watches.map((watch) => new Watcher(watch, charset));
    this.#coding = coding;
  }

  write(bytes: Buffer): Buffer[] | Promise<Buffer[]> {
    if (this.#watchers.length === 0 || bytes.length === 0) return [bytes];
    if (this.#coding !== "identity") return this.#unpack(Buffer.from(bytes), this.#coding);
    this.#look(bytes);
    return [bytes];
  }
  end(): Buffer[] {
    for (const watcher of this.#watchers) watcher.end();
    this.stop();
    return [];
  }
  stop(): void {
    this.#watchers = [];
    this.#undo?.destroy();
    this.#pass?.();
  }

  #look(bytes: Buffer): void {
    for (const watcher of this.#watchers) watcher.read(bytes);
    this.#watchers = this.#watchers.filter(({ isDone }) => !isDone);
  }

  /** zlib unpacks on another thread. */
  #unpack(bytes: Buffer, coding: Exclude<PageCoding, "identity">): Promise<Buffer[]> {
    return new Promise((resolve) => {
      this.#pass = () => resolve([bytes]);
      this.#undo ??= this.#unpacking(coding, bytes[0]!);
      this.#undo.write(bytes, this.#pass);
    });
  }
  #unpacking(coding: Exclude<PageCoding, "identity">, firstByte: number): Transform {
    const undo = unpacking(coding, firstByte);
    undo.on("data", (bytes: Buffer) => {
      this.#look(bytes);
      this.#unpackedBytes += bytes.length;
      if (this.#watchers.length === 0 || this.#unpackedBytes > MOST_UNPACKED_BYTES) this.stop();
    });
    // The page passes as it is: whether it can be unpacked is its reader's matter.
    undo.on("error", () => this.stop());
    return undo;
  }
}
