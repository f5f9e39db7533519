/** A page's body, edited while it flows, with the back-pressure of whoever reads it. */
import { Buffer } from "node:buffer";
import type { BodySink, BodySource } from "../../proxy/exchange.ts";
import type { Fields } from "../../proxy/fields.ts";
import { asGatewayError, GatewayError } from "../../errors.ts";
import { type AskElements, AskingEditor } from "./asking-editor.ts";
import { CodedBody } from "./coded-body.ts";
import type { CompiledEdits } from "./compile.ts";
import { type EditorOptions, HtmlEditor, type PageEditor } from "./editor.ts";
import { type PageCoding, withoutDigests } from "./fields.ts";

export interface EditBodyOptions extends EditorOptions {
  /** As `editable` found it; "identity" when left out. */
  readonly coding?: PageCoding;
  /** Expected where the edits have callbacks. */
  readonly ask?: AskElements;
}

/** The body as edited; coded as it was. Its length is unknown beforehand. Nothing flows before it is read. */
export function editHtml(body: BodySource, edits: CompiledEdits, options: EditBodyOptions = {}): BodySource {
  if (edits.empty || body.length === 0) return body;
  if (edits.asks && options.ask === undefined) throw new GatewayError("INTERNAL", "edits with callbacks, and nobody to ask");
  const editor = options.ask === undefined ? new HtmlEditor(edits, options) : new AskingEditor(edits, options, options.ask);
  const { coding = "identity" } = options;
  return coding === "identity" ? new EditedBody(body, editor) : new CodedBody(body, editor, coding);
}

export class EditedBody implements BodySource, BodySink {
  readonly length: number;
  readonly endsWithConnection?: boolean;
  readonly #source: BodySource;
  readonly #editor: PageEditor;
  readonly #passes: boolean;
  #sink: BodySink | null = null;
  #paused = false;
  /** Rules are asked: the source is paused, whatever the reader says. */
  #asking = false;
  /** Answered while the reader was paused. */
  #held: Buffer[] = [];
  /** The source has ended while the reader was paused. */
  #ended = false;
  /** The editor has given the rest. */
  #pageEnded = false;
  #trailers: Fields | null = null;

  /** `passes`: the editor gives what it was given, byte for byte. */
  constructor(source: BodySource, editor: PageEditor, passes = false) {
    this.#source = source;
    this.#editor = editor;
    this.#passes = passes;
    this.length = passes ? source.length : -1;
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
    if (!this.#asking) this.#goOn();
  }
  cancel(): void {
    this.#sink = null;
    this.#editor.stop?.();
    if (!this.#ended) this.#source.cancel();
  }

  // As the sink of the origin's body.
  chunk(bytes: Buffer): boolean {
    const pieces = this.#editor.write(bytes);
    if (!(pieces instanceof Promise)) return this.#give(pieces);
    this.#asking = true;
    pieces.then(
      (answered) => this.#answered(answered),
      (thrown: unknown) => this.#refused(asGatewayError(thrown)),
    );
    return false;
  }
  end(trailers: Fields | null): void {
    this.#ended = true;
    this.#trailers = this.#passes ? trailers : withoutDigests(trailers);
    if (!this.#asking) this.#endPage();
  }
  error(error: GatewayError): void {
    const sink = this.#sink;
    this.#sink = null;
    this.#ended = true;
    this.#editor.stop?.();
    sink?.error(error);
  }

  #answered(pieces: Buffer[]): void {
    this.#asking = false;
    this.#held = pieces;
    if (!this.#paused) this.#goOn();
  }
  #refused(error: GatewayError): void {
    const wasEnded = this.#ended;
    this.error(error);
    if (!wasEnded) this.#source.cancel();
  }
  #goOn(): void {
    const held = this.#held;
    this.#held = [];
    this.#give(held);
    if (this.#ended) this.#endPage();
    else if (!this.#paused && this.#sink !== null) this.#source.resume();
  }
  #endPage(): void {
    if (this.#paused) return;
    if (!this.#pageEnded) {
      this.#pageEnded = true;
      this.#give(this.#editor.end());
    }
    if (!this.#paused) this.#finish();
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
