/** What Request and Response share (Fetch Standard section 5.2 and 5.3). Strings and bytes stay such until someone asks for the stream. */
import { Blob, contents } from "./blob.ts";
import { bytesOf, concatBytes, copyOf, isBufferSource } from "./bytes.ts";
import { decodeUtf8, encodeUtf8 } from "./encoding.ts";
import { FormData } from "./form-data.ts";
import type { Headers } from "./headers.ts";
import { readMultipart, writeMultipart } from "./multipart.ts";
import { parseForm, URLSearchParams } from "./search-params.ts";
import { gather, isReadableStream, streamOf, streams } from "./streams.ts";

/** What a body may weigh when it is gathered: half of what a release's isolate has by default. Tighter limits stand where bodies cross. */
export const MAX_BODY_BYTES = 32 * 1024 * 1024;

/** A body at rest: bytes, something that gives them when they are needed, or a stream. */
export type Source = { bytes: Uint8Array } | { load: () => Promise<Uint8Array> } | { stream: ReadableStream<Uint8Array> };

export interface Extracted {
  readonly source: Source | null;
  /** Content type that goes with it, or "". */
  readonly type: string;
}

/** Fetch Standard section 5.2, "extract a body". */
export function extract(body: unknown): Extracted {
  if (body === null || body === undefined) return { source: null, type: "" };
  if (isReadableStream(body)) {
    if (body.locked) throw new TypeError("body: the stream is locked or was read already");
    return { source: { stream: body as ReadableStream<Uint8Array> }, type: "" };
  }
  if (body instanceof Blob) return { source: { bytes: body[contents] }, type: body.type };
  if (isBufferSource(body)) return { source: { bytes: copyOf(bytesOf(body, "body")) }, type: "" };
  if (body instanceof FormData) {
    const { bytes, type } = writeMultipart(body);
    return { source: { bytes }, type };
  }
  if (body instanceof URLSearchParams) return { source: { bytes: encodeUtf8(body.toString()) }, type: "application/x-www-form-urlencoded;charset=UTF-8" };
  return { source: { bytes: encodeUtf8(String(body)) }, type: "text/plain;charset=UTF-8" };
}

export const bodySource = Symbol("bodySource");
export const takeBytes = Symbol("takeBytes");
export const splitBody = Symbol("splitBody");
export const giveBody = Symbol("giveBody");

export abstract class Body {
  abstract get headers(): Headers;
  #source: Source | null = null;
  #used = false;

  /** Set once by the constructors. */
  set [bodySource](source: Source | null) {
    this.#source = source;
  }

  get body(): ReadableStream<Uint8Array> | null {
    const source = this.#source;
    if (source === null) return null;
    if ("stream" in source) return source.stream;
    const stream = "bytes" in source ? streamOf(source.bytes) : streamLater(source.load);
    if (this.#used) void stream.getReader();
    this.#source = { stream };
    return stream;
  }
  get bodyUsed(): boolean {
    return this.#source !== null && (this.#used || ("stream" in this.#source && streamWasRead(this.#source.stream)));
  }
  async arrayBuffer(): Promise<ArrayBuffer> {
    return copyOf(await this[takeBytes]()).buffer;
  }
  async bytes(): Promise<Uint8Array> {
    return copyOf(await this[takeBytes]());
  }
  async blob(): Promise<Blob> {
    return new Blob([await this[takeBytes]()], { type: this.headers.get("content-type") ?? "" });
  }
  async text(): Promise<string> {
    return decodeUtf8(await this[takeBytes]());
  }
  async json(): Promise<unknown> {
    return JSON.parse(decodeUtf8(await this[takeBytes]()));
  }
  async formData(): Promise<FormData> {
    const type = this.headers.get("content-type") ?? "";
    const essence = type.split(";", 1)[0]!.trim().toLowerCase();
    const bytes = await this[takeBytes]();
    if (essence === "multipart/form-data") {
      const boundary = /;\s*boundary=(?:"([^"]+)"|([^\s;]+))/i.exec(type);
      if (boundary === null) throw new TypeError("formData: the content type names no boundary");
      return readMultipart(bytes, boundary[1] ?? boundary[2]!);
    }
    if (essence !== "application/x-www-form-urlencoded") throw new TypeError(`formData: the content type is ${JSON.stringify(type)}, no form`);
    const data = new FormData();
    for (const [name, value] of parseForm(decodeUtf8(bytes))) data.append(name, value);
    return data;
  }

  /** The bytes, once; not copied. */
  async [takeBytes](limitBytes = MAX_BODY_BYTES): Promise<Uint8Array> {
    const source = this.#source;
    if (source === null) return new Uint8Array(0);
    if (this.bodyUsed || ("stream" in source && source.stream.locked)) throw new TypeError("body: it was read already");
    this.#used = true;
    if ("stream" in source) {
      markRead(source.stream);
      return concatBytes(await gather(source.stream, limitBytes));
    }
    const bytes = "bytes" in source ? source.bytes : await source.load();
    if (bytes.byteLength > limitBytes) throw new TypeError(`a body of at most ${limitBytes} bytes is expected`);
    return bytes;
  }

  /** For `new Request(request)`: the other gets the source, this one counts as read. */
  [giveBody](): Source | null {
    const source = this.#source;
    if (source === null) return null;
    if (this.bodyUsed || ("stream" in source && source.stream.locked)) throw new TypeError("Request: the body of the other request was read already");
    this.#used = true;
    return source;
  }

  /** For `clone()`: a source with the same bytes; this body stays readable. */
  [splitBody](): Source | null {
    const source = this.#source;
    if (source === null) return null;
    if (this.bodyUsed || ("stream" in source && source.stream.locked)) throw new TypeError("clone: the body was read already");
    if ("bytes" in source) return source;
    if ("load" in source) {
      let loaded: Promise<Uint8Array> | null = null;
      const shared = { load: () => (loaded ??= source.load()) };
      this.#source = shared;
      return shared;
    }
    const [mine, theirs] = source.stream.tee();
    this.#source = { stream: mine };
    return { stream: theirs };
  }
}

/** Streams whose reading went through a body; a stream itself tells only whether it is locked. */
const readStreams = new WeakSet<ReadableStream<Uint8Array>>();

function markRead(stream: ReadableStream<Uint8Array>): void {
  readStreams.add(stream);
}

/** The polyfill's own "disturbed" mark is no part of its surface; `_disturbed` is where it keeps it. */
function streamWasRead(stream: ReadableStream<Uint8Array>): boolean {
  return readStreams.has(stream) || (stream as { readonly _disturbed?: boolean })._disturbed === true;
}

function streamLater(load: () => Promise<Uint8Array>): ReadableStream<Uint8Array> {
  const { ReadableStream } = streams();
  return new ReadableStream<Uint8Array>({
    async pull(controller) {
      const bytes = await load();
      if (bytes.length > 0) controller.enqueue(bytes);
      controller.close();
    },
  }) as unknown as ReadableStream<Uint8Array>;
}
