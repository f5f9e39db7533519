/** `structuredClone` (HTML section 2.7) for what a bare context has; `queueMicrotask`. */
import { Blob, contents, File } from "./blob.ts";
import { DOMException } from "./dom-exception.ts";

/** How deep a value may nest; the recursion would end in a stack overflow somewhere above. */
const MAX_DEPTH = 1000;
const ERRORS: Readonly<Record<string, ErrorConstructor>> = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };

export function structuredClone(value: unknown, options: { readonly transfer?: Iterable<unknown> } = {}): unknown {
  if (arguments.length === 0) throw new TypeError("structuredClone: a value is expected");
  const transfer = new Set(options?.transfer ?? []);
  for (const one of transfer) {
    if (!(one instanceof ArrayBuffer)) throw cannot("a value in transfer that is no ArrayBuffer");
    if (one.detached) throw cannot("a detached ArrayBuffer");
  }
  const seen = new Map<object, object>();
  const clone = cloneOf(value, seen, 0);
  // Copied first, detached after: what is transferred is gone here only when all of it could be cloned.
  for (const one of transfer) (one as ArrayBuffer).transfer();
  return clone;
}

function cannot(what: string): DOMException {
  return new DOMException(`${what} could not be cloned`, "DataCloneError");
}

function cloneOf(value: unknown, seen: Map<object, object>, depth: number): unknown {
  if (typeof value === "symbol") throw cannot("a symbol");
  if (typeof value === "function") throw cannot(`function ${value.name}`);
  if (typeof value !== "object" || value === null) return value;
  const known = seen.get(value);
  if (known !== undefined) return known;
  if (depth > MAX_DEPTH) throw cannot(`a value nested more than ${MAX_DEPTH} deep`);
  const leaf = leafOf(value);
  if (leaf !== null) {
    seen.set(value, leaf);
    return leaf;
  }
  return containerOf(value, seen, depth + 1);
}

/** Copies of what holds no other values, or null. */
function leafOf(value: object): object | null {
  if (value instanceof Date) return new Date(value.getTime());
  if (value instanceof RegExp) return new RegExp(value.source, value.flags);
  if (value instanceof Boolean || value instanceof Number || value instanceof String || value instanceof BigInt) return Object(value.valueOf()) as object;
  if (value instanceof ArrayBuffer) {
    if (value.detached) throw cannot("a detached ArrayBuffer");
    return value.slice(0);
  }
  if (value instanceof File) return new File([value[contents]], value.name, { type: value.type, lastModified: value.lastModified });
  if (value instanceof Blob) return value.slice(0, value.size, value.type);
  if (value instanceof DOMException) return new DOMException(value.message, value.name);
  return null;
}

function containerOf(value: object, seen: Map<object, object>, depth: number): object {
  if (ArrayBuffer.isView(value)) return viewOf(value, seen);
  if (value instanceof Map) {
    const copy = new Map<unknown, unknown>();
    seen.set(value, copy);
    for (const [key, item] of [...value]) copy.set(cloneOf(key, seen, depth), cloneOf(item, seen, depth));
    return copy;
  }
  if (value instanceof Set) {
    const copy = new Set<unknown>();
    seen.set(value, copy);
    for (const item of [...value]) copy.add(cloneOf(item, seen, depth));
    return copy;
  }
  if (value instanceof Error) return errorOf(value, seen, depth);
  // Platform objects (a Request, a stream) and what the language can't copy (a Promise, a WeakMap) are told by their tag: a plain object has none.
  const tag = (value as { readonly [Symbol.toStringTag]?: unknown })[Symbol.toStringTag];
  if (typeof tag === "string" && !Object.hasOwn(value, Symbol.toStringTag)) throw cannot(`#<${tag}>`);
  const copy: Record<string, unknown> = Array.isArray(value) ? (new Array(value.length) as unknown as Record<string, unknown>) : {};
  seen.set(value, copy);
  for (const key of Object.keys(value)) {
    Object.defineProperty(copy, key, {
      value: cloneOf((value as Record<string, unknown>)[key], seen, depth),
      writable: true,
      enumerable: true,
      configurable: true,
    });
  }
  return copy;
}

function viewOf(value: ArrayBufferView, seen: Map<object, object>): object {
  // Eleven constructors with one signature.
  const View = value.constructor as new (buffer: ArrayBufferLike, offset: number, length: number) => object;
  const buffer = cloneOf(value.buffer, seen, 0) as ArrayBuffer;
  const length = value instanceof DataView ? value.byteLength : (value as Uint8Array).length;
  const copy = new View(buffer, value.byteOffset, length);
  seen.set(value, copy);
  return copy;
}

function errorOf(value: Error, seen: Map<object, object>, depth: number): Error {
  const name = String(value.name);
  const copy = new (Object.hasOwn(ERRORS, name) ? ERRORS[name]! : Error)(value.message);
  seen.set(value, copy);
  if (typeof value.stack === "string") Object.defineProperty(copy, "stack", { value: value.stack, writable: true, configurable: true });
  if ("cause" in value) Object.defineProperty(copy, "cause", { value: cloneOf(value.cause, seen, depth), writable: true, configurable: true });
  return copy;
}

const resolved = Promise.resolve();

/** A throw becomes a rejection that nobody awaits, and is reported as such. */
export function queueMicrotask(run: () => void): void {
  if (typeof run !== "function") throw new TypeError("queueMicrotask: a function is expected");
  void resolved.then(() => run());
}
