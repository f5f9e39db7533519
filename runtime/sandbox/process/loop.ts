/** Frames in, frames out: sorts the records of one frame by release and context, has each batch run, answers with one frame. */
import { TextReader } from "../codec.ts";
import { type LoadMessage, ToSandbox } from "../protocol.ts";
import { type Batch, ReleaseIsolate } from "./isolates.ts";
import { lost, pong } from "./words.ts";

/** An answer above this many characters leaves as several frames (a frame has a bound, protocol.ts). */
const FRAME_UNITS = 16 * 1024 * 1024;
/** What is ready after this long leaves, though the frame is not worked through, and were it only a sign of life: the worker counts the time on a core without a word. */
const SILENCE_MS = 10;
/** A PONG that nobody asked for and that settles nothing. */
const SIGN_OF_LIFE = pong(0);

/** A batch while its records are being gathered. */
interface Gathering {
  readonly isolate: ReleaseIsolate;
  readonly context: number;
  /** Records before the last contiguous piece. */
  records: string;
  /** The last contiguous piece: nearly always the whole frame, which then is handed on without a copy. */
  start: number;
  end: number;
  readonly calls: number[];
  cpuMs: number;
}

export class Loop {
  readonly #send: (payload: string) => void;
  readonly #isolates = new Map<number, ReleaseIsolate>();
  #answer = "";
  #sentMs = 0;

  constructor(send: (payload: string) => void) {
    this.#send = send;
  }

  frame(payload: string): void {
    const reader = new TextReader(payload);
    this.#sentMs = performance.now();
    let batches: Gathering[] = [];
    const flush = (): void => {
      for (const batch of batches) this.#run(payload, batch);
      batches = [];
    };
    while (!reader.done) {
      const start = reader.position;
      const kind = reader.num();
      switch (kind) {
        case ToSandbox.HOOK:
          this.#hook(reader, start, batches);
          break;
        case ToSandbox.REPLY:
        case ToSandbox.CANCEL:
          this.#reply(reader, kind, start, batches);
          break;
        case ToSandbox.LOAD:
          flush();
          this.#load(reader.num(), reader.str());
          break;
        case ToSandbox.UNLOAD:
          flush();
          this.#unload(reader.num());
          break;
        case ToSandbox.PING:
          flush();
          this.#emit(pong(reader.num()));
          break;
        default:
          throw new RangeError(`record of unknown kind ${kind}`);
      }
    }
    flush();
    this.#sendAnswer();
  }

  #load(release: number, json: string): void {
    this.#unload(release);
    const isolate = new ReleaseIsolate(release, JSON.parse(json) as LoadMessage);
    this.#isolates.set(release, isolate);
    this.#emit(isolate.make());
  }

  #unload(release: number): void {
    this.#isolates.get(release)?.dispose();
    this.#isolates.delete(release);
  }

  #hook(reader: TextReader, start: number, batches: Gathering[]): void {
    const call = reader.num();
    const isolate = this.#isolates.get(reader.num());
    const context = reader.num();
    const cpuMs = reader.num();
    reader.skip();
    if (isolate === undefined) {
      this.#emit(lost(call, null));
      return;
    }
    const batch = gather(batches, isolate, context, start, reader);
    batch.calls.push(call);
    batch.cpuMs = Math.max(batch.cpuMs, cpuMs);
  }

  #reply(reader: TextReader, kind: number, start: number, batches: Gathering[]): void {
    const call = reader.num();
    if (kind === ToSandbox.REPLY) {
      reader.num();
      reader.num();
      reader.skip();
    }
    for (const isolate of this.#isolates.values()) {
      // It may also be a hook of this very frame, cancelled before it began.
      const begun = batches.find((batch) => batch.isolate === isolate && batch.calls.includes(call));
      const waiting = isolate.waiting(call) ?? begun;
      if (waiting === undefined) continue;
      const batch = gather(batches, isolate, waiting.context, start, reader);
      batch.cpuMs = Math.max(batch.cpuMs, waiting.cpuMs);
      if (kind === ToSandbox.CANCEL) isolate.forget(call);
      return;
    }
    // The hook is over or was lost meanwhile: the answer has nobody to go to.
  }

  #run(payload: string, gathered: Gathering): void {
    const { start, end } = gathered;
    const piece = start === 0 && end === payload.length ? payload : payload.slice(start, end);
    const batch: Batch = { context: gathered.context, records: gathered.records + piece, calls: gathered.calls, cpuMs: gathered.cpuMs };
    gathered.isolate.run(batch, (records, atOnce) => {
      this.#emit(records);
      if (atOnce) this.#sendAnswer();
    });
  }

  #emit(records: string): void {
    if (this.#answer.length + records.length > FRAME_UNITS) this.#sendAnswer();
    this.#answer += records;
    if (performance.now() - this.#sentMs <= SILENCE_MS) return;
    if (this.#answer === "") this.#answer = SIGN_OF_LIFE;
    this.#sendAnswer();
  }

  #sendAnswer(): void {
    if (this.#answer === "") return;
    const answer = this.#answer;
    this.#answer = "";
    this.#sentMs = performance.now();
    this.#send(answer);
  }
}

/** Adds the record between `start` and the reader's position. */
function gather(batches: Gathering[], isolate: ReleaseIsolate, context: number, start: number, reader: TextReader): Gathering {
  const end = reader.position;
  for (const batch of batches) {
    if (batch.isolate !== isolate || batch.context !== context) continue;
    if (batch.end === start) batch.end = end;
    else {
      batch.records += reader.slice(batch.start, batch.end);
      batch.start = start;
      batch.end = end;
    }
    return batch;
  }
  const batch: Gathering = { isolate, context, records: "", start, end, calls: [], cpuMs: 0 };
  batches.push(batch);
  return batch;
}
