/** `ctx.fetch`: from web-standard arguments to the worker's "fetch" service and back. */
import { AbortSignal } from "./abort.ts";
import { takeBytes } from "./body.ts";
import { bytesToLatin1, latin1ToBytes } from "./bytes.ts";
import { Request, type RequestInit } from "./request.ts";
import { receivedResponse, type Response } from "./response.ts";

/** Arguments of the service. The body is Latin-1, one unit a byte. */
export interface FetchCall {
  readonly url: string;
  readonly method: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string | null;
  readonly redirect: string;
}

/** What the service gives. */
export interface FetchResult {
  readonly status: number;
  readonly url: string;
  readonly redirected: boolean;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
}

/** `fetch`, given how a call is sent. What `send` rejects with becomes the cause of a TypeError, as on the web. */
export async function fetchThrough(send: (call: FetchCall) => Promise<FetchResult>, input: unknown, init?: RequestInit): Promise<Response> {
  const request = new Request(input, init);
  request.signal.throwIfAborted();
  const bytes = request.method === "GET" || request.method === "HEAD" ? null : await request[takeBytes]();
  const body = bytes === null || bytes.length === 0 ? null : bytesToLatin1(bytes);
  const call = { url: request.url, method: request.method, headers: [...request.headers], body, redirect: request.redirect };
  const result = await unlessAborted(
    send(call).catch((cause: unknown) => {
      throw new TypeError(`fetch failed: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    }),
    request.signal,
  );
  return receivedResponse(result.status, result.headers.flat(), latin1ToBytes(result.body), result.url, result.redirected);
}

/** The call itself goes on: it was sent once and is in the journal. Only the wait ends. */
function unlessAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
    work.then(resolve, reject);
  });
}
