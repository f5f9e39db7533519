/** A body of which the first bytes are there, so that it is known that there are any. */
import { Buffer } from "node:buffer";
import type { GatewayError } from "../errors.ts";
import type { BodySink, BodySource } from "./exchange.ts";
import type { Fields } from "./fields.ts";

/** Resolves with the first bytes or the end, rejects with the body's error when it comes before either. */
export function beginBody(body: BodySource): Promise<BodySource> {
  if (body.length === 0) return Promise.resolve(body);
  return new Promise((resolve, reject) => {
    const begun = new BegunBody(body, () => resolve(begun), reject);
    begun.begin();
  });
}

class BegunBody implements BodySource, BodySink {
  readonly length: number;
  readonly endsWithConnection?: boolean;
  readonly #source: BodySource;
  readonly #ready: () => void;
  readonly #refuse: (error: GatewayError) => void;
  #state: "beginning" | "begun" | "flowing" = "beginning";
  #first: Buffer | null = null;
  #ended: { readonly trailers: Fields | null } | null = null;
  /** It broke off between the first bytes and the reader. */
  #failed: GatewayError | null = null;
  #sink: BodySink | null = null;
  #paused = false;

  constructor(source: BodySource, ready: () => void, refuse: (error: GatewayError) => void) {
    this.#source = source;
    this.length = source.length;
    this.endsWithConnection = source.endsWithConnection;
    this.#ready = ready;
    this.#refuse = refuse;
  }

  begin(): void {
    this.#source.read(this);
  }

  read(sink: BodySink): void {
    this.#sink = sink;
    this.#state = "flowing";
    this.#goOn();
  }
  pause(): void {
    this.#paused = true;
    if (this.#ended === null) this.#source.pause();
  }
  resume(): void {
    this.#paused = false;
    this.#goOn();
  }
  cancel(): void {
    this.#sink = null;
    this.#first = null;
    if (this.#ended === null && this.#failed === null) this.#source.cancel();
  }

  // As the sink of the body.
  chunk(bytes: Buffer): boolean {
    if (this.#state === "flowing" && this.#first === null) return this.#sink !== null && this.#sink.chunk(bytes);
    this.#first = this.#first === null ? Buffer.from(bytes) : Buffer.concat([this.#first, bytes]);
    this.#begun();
    return false;
  }
  end(trailers: Fields | null): void {
    this.#ended = { trailers };
    this.#begun();
    if (this.#state === "flowing" && !this.#paused && this.#first === null) this.#finish();
  }
  error(error: GatewayError): void {
    this.#failed = error;
    if (this.#state === "beginning") {
      this.#state = "begun";
      this.#refuse(error);
    } else this.#sink?.error(error);
  }

  #begun(): void {
    if (this.#state !== "beginning") return;
    this.#state = "begun";
    this.#ready();
  }

  #goOn(): void {
    const sink = this.#sink;
    if (sink === null) return;
    if (this.#failed !== null) {
      this.#sink = null;
      sink.error(this.#failed);
      return;
    }
    const first = this.#first;
    this.#first = null;
    if (first !== null && !sink.chunk(first)) this.#paused = true;
    if (this.#paused) return;
    if (this.#ended !== null) this.#finish();
    else this.#source.resume();
  }
  #finish(): void {
    const sink = this.#sink;
    this.#sink = null;
    sink?.end(this.#ended!.trailers);
  }
}
