/** Blob and File (File API), held in memory. */
import { bytesOf, concatBytes, copyOf, isBufferSource } from "./bytes.ts";
import { decodeUtf8, encodeUtf8 } from "./encoding.ts";
import { host } from "./host.ts";
import { streamOf } from "./streams.ts";

export const contents = Symbol("contents");

export interface BlobOptions {
  readonly type?: string;
  readonly endings?: "transparent" | "native";
}

export class Blob {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #type: string;

  constructor(parts: Iterable<unknown> = [], options: BlobOptions = {}) {
    if (typeof parts !== "object" || parts === null || !(Symbol.iterator in parts)) throw new TypeError("Blob: a list of parts is expected");
    this.#bytes = concatBytes(Array.from(parts, (part) => bytesOfPart(part, options?.endings === "native")));
    const type = String(options?.type ?? "");
    this.#type = /^[\x20-\x7e]*$/.test(type) ? type.toLowerCase() : "";
  }
  get size(): number {
    return this.#bytes.byteLength;
  }
  get type(): string {
    return this.#type;
  }
  /** For bodies and clones: not copied. */
  get [contents](): Uint8Array<ArrayBuffer> {
    return this.#bytes;
  }
  slice(start = 0, end = this.size, type = ""): Blob {
    return new Blob([this.#bytes.subarray(...span(start, end, this.size))], { type });
  }
  async text(): Promise<string> {
    return decodeUtf8(this.#bytes);
  }
  async arrayBuffer(): Promise<ArrayBuffer> {
    return copyOf(this.#bytes).buffer;
  }
  async bytes(): Promise<Uint8Array> {
    return copyOf(this.#bytes);
  }
  stream(): ReadableStream<Uint8Array> {
    return streamOf(this.#bytes);
  }
  get [Symbol.toStringTag](): string {
    return "Blob";
  }
}

export class File extends Blob {
  readonly #name: string;
  readonly #lastModified: number;

  constructor(parts: Iterable<unknown>, name: string, options: BlobOptions & { readonly lastModified?: number } = {}) {
    if (arguments.length < 2) throw new TypeError("File: parts and a name are expected");
    super(parts, options);
    this.#name = String(name).toWellFormed();
    this.#lastModified = options?.lastModified === undefined ? host().now() : Math.trunc(Number(options.lastModified)) || 0;
  }
  get name(): string {
    return this.#name;
  }
  get lastModified(): number {
    return this.#lastModified;
  }
  get webkitRelativePath(): string {
    return "";
  }
  override get [Symbol.toStringTag](): string {
    return "File";
  }
}

function bytesOfPart(part: unknown, nativeEndings: boolean): Uint8Array {
  if (part instanceof Blob) return part[contents];
  if (isBufferSource(part)) return bytesOf(part, "Blob");
  const text = String(part);
  return encodeUtf8(nativeEndings ? text.replace(/\r\n?/g, "\n") : text);
}

/** `slice`'s arguments as indices: negative ones count from the end. */
function span(start: number, end: number, size: number): [number, number] {
  const from = start < 0 ? Math.max(size + Math.trunc(start), 0) : Math.min(Math.trunc(start) || 0, size);
  const to = end < 0 ? Math.max(size + Math.trunc(end), 0) : Math.min(Math.trunc(end) || 0, size);
  return [from, Math.max(from, to)];
}
