/** A page's body, edited while it flows, with the back-pressure of whoever reads it. */
import { Buffer } from "node:buffer";
import type { BodySink, BodySource } from "../../proxy/exchange.ts";
import type { Fields } from "../../proxy/fields.ts";
import type { GatewayError } from "../../errors.ts";
import { CodedBody } from "./coded-body.ts";
import type { CompiledEdits } from "./compile.ts";
import { type EditorOptions, HtmlEditor } from "./editor.ts";
import { type PageCoding, withoutDigests } from "./fields.ts";

export interface EditBodyOptions extends EditorOptions {
  /** As `editable` found it; "identity" when left out. */
  readonly coding?: PageCoding;
}

/** The body as edited; coded as it was. Its length is unknown beforehand. Nothing flows before it is read. */
export function editHtml(body: BodySource, edits: CompiledEdits, options: EditBodyOptions = {}): BodySource {
  if (edits.empty || body.length === 0) return body;
  const editor = new HtmlEditor(edits, options);
  const { coding = "identity" } = options;
  return coding === "identity" ? new EditedBody(body, editor) : new CodedBody(body, editor, coding);
}

class EditedBody implements BodySource, BodySink {
  readonly length = -1;
  readonly endsWithConnection?: boolean;
  readonly #source: BodySource;
  readonly #editor: HtmlEditor;
  #sink: BodySink | null = null;
  #paused = false;
  /** The source has ended while the reader was paused. */
  #ended = false;
  #trailers: Fields | null = null;

  constructor(source: BodySource, editor: HtmlEditor) {
    this.#source = source;
    this.#editor = editor;
    this.endsWithConnection = source.endsWithConnection;
  }

  read(sink: BodySink): void {
    this.#sink = sink;
    this.#source.read(this);
  }
  pause(): void {
    this.#paused = true;
    if (!this.#ended) this.#source.pause();
  }
  resume(): void {
    this.#paused = false;
    if (this.#ended) this.#finish();
    else this.#source.resume();
  }
  cancel(): void {
    this.#sink = null;
    if (!this.#ended) this.#source.cancel();
  }

  // As the sink of the origin's body.
  chunk(bytes: Buffer): boolean {
    return this.#give(this.#editor.write(bytes));
  }
  end(trailers: Fields | null): void {
    this.#ended = true;
    this.#trailers = withoutDigests(trailers);
    this.#give(this.#editor.end());
    if (!this.#paused) this.#finish();
  }
  error(error: GatewayError): void {
    const sink = this.#sink;
    this.#sink = null;
    this.#ended = true;
    sink?.error(error);
  }

  #give(pieces: Buffer[]): boolean {
    const sink = this.#sink;
    if (sink === null) return false;
    if (pieces.length === 0) return !this.#paused;
    const goesOn = sink.chunk(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces));
    if (!goesOn) this.#paused = true;
    return goesOn;
  }
  #finish(): void {
    const sink = this.#sink;
    this.#sink = null;
    sink?.end(this.#trailers);
  }
}
