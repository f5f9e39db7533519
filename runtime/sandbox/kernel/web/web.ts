/** The door: puts the web-standard classes into a bare V8 context. */
import { AbortController, AbortSignal } from "./abort.ts";
import { atob, btoa } from "./base64.ts";
import { Blob, File } from "./blob.ts";
import { queueMicrotask, structuredClone } from "./clone.ts";
import { cryptoClasses } from "./crypto-lazy.ts";
import { DOMException } from "./dom-exception.ts";
import { TextDecoder, TextEncoder } from "./encoding.ts";
import { CustomEvent, Event, EventTarget } from "./events.ts";
import { FormData } from "./form-data.ts";
import { Headers } from "./headers.ts";
import { type Harden, hardenAll, host, lendHost, type WebHost } from "./host.ts";
import { Request } from "./request.ts";
import { Response } from "./response.ts";
import { URLSearchParams } from "./search-params.ts";
import { streams } from "./streams.ts";
import { URL } from "./url.ts";
import { urlPattern } from "./url-pattern.ts";

export type { Harden, WebHost } from "./host.ts";
export { runFetchHandler } from "./fetch-handler.ts";
export { fetchThrough, type FetchResult } from "./fetch-wire.ts";

const EAGER = {
  AbortController,
  AbortSignal,
  Blob,
  CustomEvent,
  DOMException,
  Event,
  EventTarget,
  File,
  FormData,
  Headers,
  Request,
  Response,
  TextDecoder,
  TextEncoder,
  URL,
  URLSearchParams,
  atob,
  btoa,
  queueMicrotask,
  structuredClone,
};

/** Evaluated when something first names them. */
const STREAMS = [
  ...[
    "ByteLengthQueuingStrategy",
    "CountQueuingStrategy",
    "ReadableByteStreamController",
    "ReadableStream",
    "ReadableStreamBYOBReader",
    "ReadableStreamBYOBRequest",
  ],
  ...["ReadableStreamDefaultController", "ReadableStreamDefaultReader", "TransformStream", "TransformStreamDefaultController"],
  ...["WritableStream", "WritableStreamDefaultController", "WritableStreamDefaultWriter"],
] as const;

const CRYPTO = ["Crypto", "CryptoKey", "SubtleCrypto", "crypto"] as const;

/**
 * Installs everything on `global`. What is heavy and rare (streams, URLPattern, crypto) stands behind an accessor that evaluates it at the
 * first use; `harden` is called for each class, object and function once, then or now, before any rule can see it.
 */
export function installWeb(global: object, lent: WebHost, harden: Harden = () => {}): void {
  lendHost(lent, harden);
  hardenAll(Object.values(EAGER));
  for (const [name, value] of Object.entries(EAGER)) Object.defineProperty(global, name, { value, writable: true, enumerable: false, configurable: true });
  for (const name of STREAMS) lazy(global, name, () => (streams() as unknown as Record<string, object>)[name]!);
  lazy(global, "URLPattern", urlPattern);
  for (const name of CRYPTO) lazy(global, name, () => cryptoClasses()[name]);
  lazy(global, "performance", performanceOf);
}

/** HR-Time, as coarse as the gateway's clock: it stands still within a hook. */
function performanceOf(): object {
  const timeOrigin = host().now();
  const performance = { now: () => host().now() - timeOrigin, timeOrigin, toJSON: () => ({ timeOrigin }) };
  hardenAll([performance]);
  return performance;
}

/** An accessor that makes its value once. It stays an accessor, so that it works on a frozen global; assignment replaces it while that is allowed. */
function lazy(global: object, name: string, make: () => object): void {
  let made: object | null = null;
  Object.defineProperty(global, name, {
    get: () => (made ??= make()),
    set(value: unknown) {
      Object.defineProperty(global, name, { value, writable: true, enumerable: false, configurable: true });
    },
    enumerable: false,
    configurable: true,
  });
}
