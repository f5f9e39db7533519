/** Takes a frame from a sandbox process apart. Whatever breaks the grammar throws `CodecError`; what the records say is judged by the receiver. */
import { CodecError, TextReader } from "./codec.ts";
import { FromSandbox, Guilt } from "./protocol.ts";

export interface RecordEvents {
  loaded(release: number, ok: boolean, json: string): void;
  call(call: number, callNo: number, rule: number, service: string, args: string): void;
  /** `cpu`: rule, microseconds, rule, microseconds, … */
  done(call: number, tail: boolean, outcome: number, by: number, failure: string, cpu: readonly number[], effects: string): void;
  tail(call: number, effects: string, cpu: readonly number[]): void;
  stray(release: number, rule: number, json: string): void;
  isolateLost(release: number, reason: string): void;
  lost(call: number, guilt: Guilt, failure: string): void;
  pong(sequence: number): void;
}

/** No release has more rules; no record tells of more. */
const MAX_CPU_ENTRIES = 100_000;

export function readRecords(text: string, to: RecordEvents): void {
  const reader = new TextReader(text);
  while (!reader.done) {
    const kind = reader.num();
    switch (kind) {
      case FromSandbox.DONE:
        to.done(reader.num(), goesOn(reader), reader.num(), reader.num(), reader.str(), cpuOf(reader), reader.str());
        break;
      case FromSandbox.CALL:
        to.call(reader.num(), reader.num(), reader.num(), reader.str(), reader.str());
        break;
      case FromSandbox.TAIL:
        to.tail(reader.num(), reader.str(), cpuOf(reader));
        break;
      case FromSandbox.LOADED:
        to.loaded(reader.num(), flag(reader), reader.str());
        break;
      case FromSandbox.STRAY:
        to.stray(reader.num(), reader.num(), reader.str());
        break;
      case FromSandbox.ISOLATE_LOST:
        to.isolateLost(reader.num(), reader.str());
        break;
      case FromSandbox.LOST:
        to.lost(reader.num(), guiltOf(reader), reader.str());
        break;
      case FromSandbox.PONG:
        to.pong(reader.num());
        break;
      default:
        throw new CodecError(`record of kind ${kind}`);
    }
  }
}

/** 0: all is over; 1: `waitUntil` work goes on; 2: element callbacks do. */
function goesOn(reader: TextReader): boolean {
  const value = reader.num();
  if (value > 2) throw new CodecError(`${value} where 0, 1 or 2 is expected`);
  return value > 0;
}

function flag(reader: TextReader): boolean {
  const value = reader.num();
  if (value > 1) throw new CodecError(`${value} where 0 or 1 is expected`);
  return value === 1;
}

function guiltOf(reader: TextReader): Guilt {
  const value = reader.num();
  if (value > Guilt.SUSPECT) throw new CodecError(`${value} where 0, 1 or 2 is expected`);
  return value as Guilt;
}

function cpuOf(reader: TextReader): number[] {
  const count = reader.num();
  if (count > MAX_CPU_ENTRIES) throw new CodecError(`CPU times of ${count} rules`);
  const list: number[] = [];
  for (let i = 0; i < count; i++) list.push(reader.num(), reader.num());
  return list;
}
