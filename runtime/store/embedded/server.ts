/** The embedded store at work: tables, topics and the log behind any number of pipes. One frame per pipe and event-loop turn. */
import type { Duplex } from "node:stream";
import { asGatewayError, GatewayError } from "../../errors.ts";
import type { StoreScript } from "../script.ts";
import { DurableLog } from "./durable-log.ts";
import { FrameSplitter, FromStore, FrameError, FrameWriter, readCalls, ToStore, type CallRecord, type FrameValue } from "./frames.ts";
import { Tables } from "./tables.ts";
import { Topics } from "./topics.ts";

export interface EmbeddedServerOptions {
  readonly scripts: readonly StoreScript[];
  readonly limitBytes: number;
  /** Where lasting keys are kept; "": nowhere. */
  readonly dir: string;
  readonly unixMs: () => number;
  readonly warn: (text: string) => void;
}

export interface EmbeddedStatus {
  readonly keys: number;
  readonly bytes: number;
  readonly limitBytes: number;
  readonly evicted: number;
  readonly pipes: number;
  readonly logBytes: number;
  /** Why lasting keys can't be kept just now; "" when they can. */
  readonly trouble: string;
}

interface Pipe {
  readonly stream: Duplex;
  readonly out: FrameWriter;
  readonly topics: Set<string>;
  member: boolean;
}

/** Records that wait until what they tell of is on the disk. */
interface Owed {
  readonly pipe: Pipe;
  readonly call: number;
  readonly values: readonly FrameValue[];
}

/** A worker that does not read its answers any more is let go. */
const MAX_UNREAD_BYTES = 64 * 1024 * 1024;
const SWEEPS_AT_ONCE = 20;

export class EmbeddedServer {
  readonly #options: EmbeddedServerOptions;
  readonly #tables: Tables;
  readonly #topics = new Topics();
  readonly #log: DurableLog | null;
  readonly #pipes = new Set<Pipe>();
  readonly #dirty = new Set<Pipe>();
  #owed: Owed[] = [];
  #flushPlanned = false;

  /** @throws when the log can't be opened. */
  constructor(options: EmbeddedServerOptions) {
    this.#options = options;
    this.#tables = new Tables({ limitBytes: options.limitBytes, unixMs: options.unixMs });
    this.#log = options.dir === "" ? null : this.#open(options.dir);
  }

  #open(dir: string): DurableLog {
    const { log, cutBytes } = DurableLog.open(dir, ({ key, value, expiresAtMs }) => {
      if (value === undefined) this.#tables.forget(key);
      else this.#tables.restore(key, value, expiresAtMs);
    });
    if (cutBytes > 0) this.#options.warn(`the store's log ended with ${cutBytes} bytes that are no whole record; they were cut off`);
    return log;
  }

  serve(stream: Duplex): void {
    const pipe: Pipe = { stream, out: new FrameWriter(), topics: new Set(), member: false };
    this.#pipes.add(pipe);
    const splitter = new FrameSplitter((payload) => {
      for (const record of readCalls(payload)) this.#take(pipe, record);
    });
    stream.on("data", (bytes: Buffer) => {
      try {
        splitter.push(bytes);
      } catch (thrown) {
        this.#options.warn(`a worker's pipe was closed: ${(thrown as Error).message}`);
        stream.destroy();
      }
    });
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "ECONNRESET" && error.code !== "EPIPE") this.#options.warn(`a worker's pipe broke: ${error.message}`);
    });
    stream.on("close", () => this.#leave(pipe));
    stream.resume();
  }

  /** Several times a second. */
  tend(): void {
    for (let i = 0; i < SWEEPS_AT_ONCE && this.#tables.sweep(); i++);
    this.#log?.tend(this.#tables.durableEntries());
  }

  status(): EmbeddedStatus {
    return {
      keys: this.#tables.keys,
      bytes: this.#tables.bytes,
      limitBytes: this.#options.limitBytes,
      evicted: this.#tables.evicted,
      pipes: this.#pipes.size,
      logBytes: this.#log?.bytes ?? 0,
      trouble: this.#log?.broken ?? "",
    };
  }

  /** What was asked so far is answered and kept. */
  close(): void {
    this.#flush();
    this.#log?.close();
    for (const pipe of this.#pipes) pipe.stream.end();
  }

  #take(pipe: Pipe, record: CallRecord): void {
    try {
      const values = this.#answer(pipe, record);
      if (values !== null) this.#owed.push({ pipe, call: record.call, values });
    } catch (thrown) {
      if (thrown instanceof FrameError) throw thrown;
      const { code, detail } = asGatewayError(thrown);
      this.#say(pipe, FromStore.ERROR, record.call, [code, detail]);
    }
    this.#planFlush();
  }

  /** Null: there is no answer. */
  #answer(pipe: Pipe, { kind, call, script, keys, args }: CallRecord): readonly FrameValue[] | null {
    const [key = ""] = keys;
    switch (kind) {
      case ToStore.RUN:
        return this.#run(script, keys, args);
      case ToStore.GET:
        return keys.map((each) => this.#tables.get(each));
      case ToStore.SET: {
        const [value, ttlMs = null, durable] = args;
        if (!(value instanceof Uint8Array) || (ttlMs !== null && typeof ttlMs !== "number")) throw new FrameError("a SET without value or lifetime");
        if (durable === 1) this.#checkLog();
        // The frame that it is a view of must not be kept alive by it.
        this.#tables.set(key, Buffer.from(value), ttlMs, durable === 1);
        return [];
      }
      case ToStore.DELETE:
        return [this.#tables.delete(keys)];
      case ToStore.PUBLISH: {
        const [message] = args;
        if (typeof message !== "string") throw new FrameError("a message that is no text");
        const number = this.#topics.publish(key, message);
        for (const other of this.#pipes) if (other.topics.has(key)) this.#say(other, FromStore.MESSAGE, 0, [key, number, message]);
        return [];
      }
      case ToStore.SUBSCRIBE:
        this.#subscribe(pipe, call, key, args);
        return null;
      case ToStore.UNSUBSCRIBE:
        pipe.topics.delete(key);
        return [];
      case ToStore.PING:
        return [];
      case ToStore.HELLO:
        pipe.member = args[0] === 1;
        this.#say(pipe, FromStore.HELLO, call, [this.#topics.epoch, this.#members(), ...this.#options.scripts.map(({ name }) => name)]);
        if (pipe.member) this.#tellMembers();
        return null;
      default:
        throw new FrameError(`a record of kind ${kind}`);
    }
  }

  #run(number: number, keys: readonly string[], args: readonly FrameValue[]): readonly FrameValue[] {
    const script = this.#options.scripts[number];
    if (script === undefined) throw new FrameError(`script ${number}`);
    if (script.durable) this.#checkLog();
    return this.#tables.run(script, keys, args as readonly (string | number)[]);
  }

  /** Before anything changes. */
  #checkLog(): void {
    if (this.#log !== null && this.#log.broken !== "") throw new GatewayError("STORE_REFUSED", this.#log.broken);
  }

  #subscribe(pipe: Pipe, call: number, topic: string, [epoch = "", after = 0]: readonly FrameValue[]): void {
    const { after: from, missed, gap } = this.#topics.resume(topic, String(epoch), Number(after));
    pipe.topics.add(topic);
    this.#say(pipe, FromStore.REPLY, call, [this.#topics.epoch, from, gap ? 1 : 0]);
    missed.forEach((message, i) => this.#say(pipe, FromStore.MESSAGE, 0, [topic, from + i + 1, message]));
  }

  #members(): number {
    let count = 0;
    for (const pipe of this.#pipes) if (pipe.member) count++;
    return count;
  }

  #tellMembers(): void {
    const members = this.#members();
    for (const pipe of this.#pipes) this.#say(pipe, FromStore.MEMBERS, 0, [members]);
  }

  #leave(pipe: Pipe): void {
    this.#pipes.delete(pipe);
    this.#dirty.delete(pipe);
    if (pipe.member) this.#tellMembers();
  }

  #say(pipe: Pipe, kind: number, call: number, values: readonly FrameValue[]): void {
    try {
      pipe.out.answer(kind, call, values);
    } catch (thrown) {
      const { code, detail } = asGatewayError(thrown);
      if (code !== "STORE_FULL" || pipe.out.empty) {
        pipe.out.answer(FromStore.ERROR, call, [code, detail]);
      } else {
        // Together they are too long for one frame: what there is goes first.
        pipe.stream.write(pipe.out.take());
        this.#say(pipe, kind, call, values);
      }
    }
    this.#dirty.add(pipe);
    this.#planFlush();
  }

  #planFlush(): void {
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    setImmediate(() => this.#flush());
  }

  /** First the disk, then the answers. */
  #flush(): void {
    const changes = this.#tables.takeChanges();
    const trouble = changes.length > 0 && this.#log !== null ? this.#log.append(changes) : "";
    const owed = this.#owed;
    this.#owed = [];
    for (const { pipe, call, values } of owed) {
      // Which of them changed something lasting is not told apart: all of this one turn learn of it.
      if (trouble === "") this.#say(pipe, FromStore.REPLY, call, values);
      else this.#say(pipe, FromStore.ERROR, call, ["STORE_REFUSED", trouble]);
    }
    if (trouble !== "") this.#options.warn(trouble);
    for (const { stream, out } of this.#dirty) {
      if (stream.destroyed) continue;
      stream.write(out.take());
      if (stream.writableLength > MAX_UNREAD_BYTES) {
        this.#options.warn("a worker's pipe was closed: it does not read its answers");
        stream.destroy();
      }
    }
    this.#dirty.clear();
    this.#flushPlanned = false;
  }
}
