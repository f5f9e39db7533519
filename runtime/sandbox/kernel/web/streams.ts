/**
 * Web streams: those of `web-streams-polyfill`. At 65 KB they weigh more than everything else here, so they are evaluated when something
 * first asks for a stream. Bodies made of strings and bytes never do.
 */
import { hardenAll } from "./host.ts";

type Streams = typeof import("web-streams-polyfill");

let evaluated: Streams | null = null;

export function streams(): Streams {
  if (evaluated !== null) return evaluated;
  // A bundler's `require`: the module stands in the bundle, wrapped in a function that runs here.
  evaluated = require("web-streams-polyfill") as Streams;
  // Not when a rule names a class: an instance's `constructor` leads there too.
  hardenAll(Object.values(evaluated));
  return evaluated;
}

/** Is it one of this context's own streams? False, without evaluating anything, when there are none yet. */
export function isReadableStream(value: unknown): value is ReadableStream<unknown> {
  return evaluated !== null && value instanceof evaluated.ReadableStream;
}

export function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  const { ReadableStream } = streams();
  return new ReadableStream<Uint8Array>({
    type: "bytes",
    start(controller) {
      if (bytes.length > 0) controller.enqueue(bytes.slice());
      controller.close();
      // A reader that brings its own buffer waits for an answer even at the end (Streams Standard section 4.7.4).
      controller.byobRequest?.respond(0);
    },
  }) as unknown as ReadableStream<Uint8Array>;
}

/** Reads it to the end. More than `limitBytes` cancels it and rejects. */
export async function gather(stream: ReadableStream<unknown>, limitBytes: number): Promise<Uint8Array[]> {
  const reader = stream.getReader();
  const parts: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return parts;
    if (!(value instanceof Uint8Array)) {
      const wrong = new TypeError("a body's stream must give Uint8Array chunks");
      await reader.cancel(wrong);
      throw wrong;
    }
    length += value.byteLength;
    if (length > limitBytes) {
      const tooMuch = new TypeError(`a body of at most ${limitBytes} bytes is expected`);
      await reader.cancel(tooMuch);
      throw tooMuch;
    }
    parts.push(value);
  }
}
