/** A compressed page, edited while it flows: undone, edited, and coded again the same way. Node's zlib does the work on its own threads. */
import { Buffer } from "node:buffer";
import type { Transform } from "node:stream";
import {
  constants,
  createBrotliCompress,
  createBrotliDecompress,
  createDeflate,
  createGunzip,
  createGzip,
  createInflate,
  createInflateRaw,
  createZstdCompress,
  createZstdDecompress,
} from "node:zlib";
import { asGatewayError, GatewayError } from "../../errors.ts";
import type { BodySink, BodySource } from "../../proxy/exchange.ts";
import type { Fields } from "../../proxy/fields.ts";
import type { PageEditor } from "./editor.ts";
import { type PageCoding, withoutDigests } from "./fields.ts";

interface Coder {
  readonly undo: (firstByte: number) => Transform;
  readonly make: () => Flushing;
  /** Makes the coder give all it has, without forgetting what it saw. */
  readonly flush: number;
}
type Flushing = Transform & { flush(kind: number, done: () => void): void };

/** Levels that cost about what nginx and Caddy spend on pages; brotli's own default (11) takes a hundred times as long. */
const CODERS: Readonly<Record<Exclude<PageCoding, "identity">, Coder>> = {
  gzip: { undo: () => createGunzip(), make: () => createGzip({ level: 5 }), flush: constants.Z_SYNC_FLUSH },
  deflate: {
    // Some servers leave the zlib wrapper out (RFC 9110 section 8.4.1.2); its first byte ends in 8.
    undo: (firstByte) => ((firstByte & 0x0f) === 8 ? createInflate() : createInflateRaw()),
    make: () => createDeflate({ level: 5 }),
    flush: constants.Z_SYNC_FLUSH,
  },
  br: {
    undo: () => createBrotliDecompress(),
    make: () => createBrotliCompress({ params: { [constants.BROTLI_PARAM_QUALITY]: 4 } }),
    flush: constants.BROTLI_OPERATION_FLUSH,
  },
  zstd: {
    undo: () => createZstdDecompress(),
    make: () => createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: 3 } }),
    flush: constants.ZSTD_e_flush,
  },
};

/** Unpacks one page. `firstByte`: of the page as it is coded. */
export function unpacking(coding: Exclude<PageCoding, "identity">, firstByte: number): Transform {
  return CODERS[coding].undo(firstByte);
}

/** Above so many bytes, a page that grew more than so many times is a bomb (gzip reaches 1,032 on zeros, pages about 10). */
const BOMB_BYTES = 32 * 1024 * 1024;
const BOMB_RATIO = 100;

export class CodedBody implements BodySource, BodySink {
  readonly length = -1;
  readonly endsWithConnection?: boolean;
  readonly #source: BodySource;
  readonly #editor: PageEditor;
  readonly #coder: Coder;
  /** Made when the first byte is there. */
  #undo: Transform | null = null;
  readonly #make: Flushing;
  #sink: BodySink | null = null;
  #trailers: Fields | null = null;
  #receivedBytes = 0;
  #undoneBytes = 0;
  /** Chunks that the decoder has not read yet. */
  #unread = 0;
  #sourceEnded = false;
  /** Something was edited since the coder last gave all it had. */
  #flushDue = false;
  /** Rules are asked: nothing more is unpacked. */
  #asking = false;

  constructor(source: BodySource, editor: PageEditor, coding: Exclude<PageCoding, "identity">) {
    this.#source = source;
    this.#editor = editor;
    this.endsWithConnection = source.endsWithConnection;
    this.#coder = CODERS[coding];
    this.#make = this.#coder.make();
  }

  read(sink: BodySink): void {
    this.#sink = sink;
    const make = this.#make;
    make.on("drain", () => {
      if (!this.#asking) this.#undo?.resume();
    });
    make.on("data", (bytes: Buffer) => {
      if (this.#sink !== null && !this.#sink.chunk(bytes)) make.pause();
    });
    make.on("end", () => this.#finish());
    make.on("error", (cause) => this.#fail(asGatewayError(cause)));
    this.#source.read(this);
  }
  pause(): void {
    this.#make.pause();
  }
  resume(): void {
    this.#make.resume();
  }
  cancel(): void {
    this.#sink = null;
    this.#destroy();
  }

  // As the sink of the origin's body.
  chunk(bytes: Buffer): boolean {
    if (this.#sink === null || bytes.length === 0) return this.#sink !== null;
    this.#receivedBytes += bytes.length;
    this.#unread++;
    const undo = (this.#undo ??= this.#decoder(bytes[0]!));
    // zlib reads it later, on another thread; the origin's buffer is written over before that.
    return undo.write(Buffer.from(bytes), () => {
      this.#unread--;
      this.#flush();
    });
  }
  end(trailers: Fields | null): void {
    this.#sourceEnded = true;
    this.#trailers = withoutDigests(trailers);
    if (this.#undo === null) this.#finish();
    else this.#undo.end();
  }
  error(error: GatewayError): void {
    this.#sourceEnded = true;
    this.#fail(error);
  }

  #decoder(firstByte: number): Transform {
    const undo = this.#coder.undo(firstByte);
    undo.on("data", (bytes: Buffer) => this.#edit(bytes));
    undo.on("end", () => {
      for (const bytes of this.#editor.end()) this.#make.write(bytes);
      this.#make.end();
    });
    undo.on("drain", () => {
      if (!this.#sourceEnded) this.#source.resume();
    });
    undo.on("error", (cause) => this.#fail(new GatewayError("UPSTREAM_MALFORMED", "the page's content coding is broken or incomplete", { cause })));
    return undo;
  }

  #edit(bytes: Buffer): void {
    this.#undoneBytes += bytes.length;
    if (this.#undoneBytes > BOMB_BYTES && this.#undoneBytes > this.#receivedBytes * BOMB_RATIO) {
      this.#fail(new GatewayError("UPSTREAM_MALFORMED", `${this.#receivedBytes} bytes of a page unpack to more than ${this.#undoneBytes}: a bomb`));
      return;
    }
    const pieces = this.#editor.write(bytes);
    if (!(pieces instanceof Promise)) {
      this.#give(pieces);
      return;
    }
    this.#asking = true;
    this.#undo?.pause();
    pieces.then(
      (answered) => {
        this.#asking = false;
        if (this.#make.destroyed) return;
        if (this.#give(answered)) this.#undo?.resume();
      },
      (thrown: unknown) => this.#fail(asGatewayError(thrown)),
    );
  }

  /** False: the coder has more than it can take. */
  #give(pieces: Buffer[]): boolean {
    if (pieces.length === 0) return true;
    this.#flushDue = true;
    const goesOn = this.#make.write(pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces));
    if (!goesOn) this.#undo?.pause();
    if (this.#unread === 0) this.#flush();
    return goesOn;
  }

  /** All that came is read: it goes on at once, so that a page streams as its origin meant it. */
  #flush(): void {
    if (!this.#flushDue || this.#sourceEnded || this.#make.destroyed) return;
    this.#flushDue = false;
    this.#make.flush(this.#coder.flush, noop);
  }

  #finish(): void {
    const sink = this.#sink;
    this.#sink = null;
    sink?.end(this.#trailers);
  }
  #fail(error: GatewayError): void {
    const sink = this.#sink;
    this.#sink = null;
    this.#destroy();
    sink?.error(error);
  }
  #destroy(): void {
    this.#undo?.destroy();
    this.#make.destroy();
    if (this.#sourceEnded) return;
    this.#sourceEnded = true;
    this.#source.cancel();
  }
}

function noop(): void {
  return undefined;
}
