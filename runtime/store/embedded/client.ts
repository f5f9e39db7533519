/** A worker's side of the embedded store: calls of one event-loop turn go out in one frame; a pipe that breaks is asked for anew. */
import type { Duplex } from "node:stream";
import type { Clock, Timer } from "../../clock.ts";
import { ERRORS, GatewayError, type ErrorCode } from "../../errors.ts";
import { Monitor } from "../monitor.ts";
import { scriptKeysDefect, type StoreScript } from "../script.ts";
import type { SetOptions, Store, StoreArgument, StoreEvent, StoreHealth, StoreReply, Subscription } from "../store.ts";
import { FrameSplitter, FrameWriter, FromStore, readAnswers, ToStore, type AnswerRecord, type FrameValue } from "./frames.ts";
import { TopicSubscriptions } from "./subscriptions.ts";

export interface EmbeddedStoreOptions {
  readonly clock: Clock;
  readonly timeoutMs: number;
  /** Asks whoever runs the store's process for a pipe to it; it arrives by `attach`, when the process is up. */
  readonly requestPipe: () => void;
  /** Counts among `liveMembers`. */
  readonly member: boolean;
  readonly warn: (text: string) => void;
}

interface Call {
  readonly kind: number;
  readonly script: StoreScript | null;
  readonly keys: readonly string[];
  readonly args: readonly FrameValue[];
  readonly startMs: number;
  readonly deadlineMs: number;
  /** May be sent again when the pipe broke before its answer came. */
  readonly repeatable: boolean;
  readonly resolve: (values: readonly FrameValue[]) => void;
  readonly reject: (error: GatewayError) => void;
}

const MAX_OUTSTANDING = 100_000;
/** Of calls that wait for a pipe or for the store to read. */
const MAX_UNSENT_BYTES = 32 * 1024 * 1024;

export class EmbeddedStore implements Store {
  readonly kind = "embedded";
  readonly #options: EmbeddedStoreOptions;
  readonly #monitor: Monitor;
  readonly #out = new FrameWriter();
  /** By number, in the order of their deadlines. */
  readonly #calls = new Map<number, Call>();
  readonly #subscriptions: TopicSubscriptions;
  #stream: Duplex | null = null;
  /** Name → number, as HELLO told; null until then. */
  #scripts: ReadonlyMap<string, number> | null = null;
  #nextCall = 1;
  #deadline: Timer | null = null;
  #flushPlanned = false;
  #members = 1;
  #answeredMs: number;
  #closed = false;

  constructor(options: EmbeddedStoreOptions) {
    this.#options = options;
    this.#monitor = new Monitor("embedded", options.clock);
    this.#answeredMs = options.clock.now();
    this.#subscriptions = new TopicSubscriptions({
      clock: options.clock,
      subscribe: async (topic, epoch, after) => {
        const [now, from, gap] = await this.#ask(ToStore.SUBSCRIBE, null, [topic], [epoch, after], false);
        return { epoch: String(now), after: Number(from), gap: gap === 1 };
      },
      // A pipe that is gone has no subscriptions.
      unsubscribe: (topic) => void this.#ask(ToStore.UNSUBSCRIBE, null, [topic], [], false).catch(() => undefined),
    });
    options.requestPipe();
  }

  /** Takes a pipe to the store's process, in place of one that broke. */
  attach(stream: Duplex): void {
    if (this.#closed) {
      stream.destroy();
      return;
    }
    this.#stream?.destroy();
    this.#stream = stream;
    const splitter = new FrameSplitter((payload) => {
      this.#answeredMs = this.#options.clock.now();
      // Late answers of a process that was stopped: it is back.
      if (this.#scripts !== null) this.#monitor.become("ready", "");
      for (const record of readAnswers(payload)) this.#take(record);
    });
    stream.on("data", (bytes: Buffer) => {
      try {
        splitter.push(bytes);
      } catch (thrown) {
        stream.destroy(thrown as Error);
      }
    });
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (error.code !== "ECONNRESET" && error.code !== "EPIPE") this.#options.warn(`the pipe to the store broke: ${error.message}`);
    });
    stream.on("close", () => this.#detach(stream));
    // It was handed over paused, so that nobody else reads from it.
    stream.resume();
    const hello = new FrameWriter();
    hello.call(ToStore.HELLO, 0, 0, [], [this.#options.member ? 1 : 0]);
    stream.write(hello.take());
  }

  run(script: StoreScript, keys: readonly string[], args: readonly StoreArgument[]): Promise<StoreReply> {
    const defect = scriptKeysDefect(script, keys);
    if (defect !== null) return Promise.reject(defect);
    return this.#ask(ToStore.RUN, script, keys, args, script.repeatable) as Promise<StoreReply>;
  }

  async get(key: string): Promise<Buffer | null> {
    return (await this.getMany([key]))[0]!;
  }

  async getMany(keys: readonly string[]): Promise<(Buffer | null)[]> {
    const values = await this.#ask(ToStore.GET, null, keys, [], true);
    // A copy: a view would keep the whole frame alive for as long as one value of it is held.
    return values.map((value) => (value === null ? null : Buffer.from(value as Uint8Array)));
  }

  async set(key: string, value: Uint8Array | string, { ttlMs, durable = false }: SetOptions): Promise<void> {
    await this.#ask(ToStore.SET, null, [key], [typeof value === "string" ? Buffer.from(value) : value, ttlMs, durable ? 1 : 0], true);
  }

  async delete(keys: readonly string[]): Promise<number> {
    return Number((await this.#ask(ToStore.DELETE, null, keys, [], false))[0]);
  }

  async publish(topic: string, message: string): Promise<void> {
    await this.#ask(ToStore.PUBLISH, null, [topic], [message], false);
  }

  subscribe(topic: string, handler: (event: StoreEvent) => void): Subscription {
    return this.#subscriptions.add(topic, handler);
  }

  health(): StoreHealth {
    return this.#monitor.health(this.#calls.size);
  }

  onHealth(listener: (health: StoreHealth) => void): () => void {
    return this.#monitor.listen(listener);
  }

  /** The embedded store serves one. */
  liveGateways(): number {
    return 1;
  }

  liveMembers(): number {
    return Math.max(1, this.#members);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#flush();
    this.#closed = true;
    this.#deadline?.cancel();
    this.#stream?.destroy();
    this.#subscriptions.close();
    this.#monitor.become("unavailable", "closed");
    this.#failAll(() => true, new GatewayError("STORE_UNAVAILABLE", "the store is closed"));
  }

  #ask(kind: number, script: StoreScript | null, keys: readonly string[], args: readonly FrameValue[], repeatable: boolean): Promise<readonly FrameValue[]> {
    const { clock, timeoutMs } = this.#options;
    this.#monitor.calls++;
    const refusal = this.#refusal();
    if (refusal !== null) {
      this.#monitor.failures++;
      return Promise.reject(refusal);
    }
    return new Promise((resolve, reject) => {
      const startMs = clock.now();
      const call: Call = { kind, script, keys, args, startMs, deadlineMs: startMs + timeoutMs, repeatable, resolve, reject };
      const number = this.#nextCall;
      this.#nextCall = number === 0xffff_ffff ? 1 : number + 1;
      this.#calls.set(number, call);
      this.#deadline ??= clock.after(timeoutMs, () => this.#expireSoon());
      // Without a pipe it waits for HELLO, which sends all that wait.
      if (this.#scripts !== null) this.#send(number, call);
    });
  }

  /** Known to be away: nobody waits for it. */
  #refusal(): GatewayError | null {
    if (this.#closed) return new GatewayError("STORE_UNAVAILABLE", "the store is closed");
    if (this.#monitor.state === "unavailable") return new GatewayError("STORE_UNAVAILABLE", this.#monitor.reason);
    if (this.#calls.size >= MAX_OUTSTANDING) return new GatewayError("STORE_FULL", `${MAX_OUTSTANDING} calls wait for the store`);
    if (this.#out.length + (this.#stream?.writableLength ?? 0) > MAX_UNSENT_BYTES)
      return new GatewayError("STORE_FULL", `${MAX_UNSENT_BYTES} bytes wait for the store to read them`);
    return null;
  }

  #send(number: number, call: Call): void {
    const { script } = call;
    const place = script === null ? 0 : this.#scripts!.get(script.name);
    try {
      if (place === undefined) throw new GatewayError("INTERNAL", `the store's process does not know the script ${script!.name}`);
      this.#out.call(call.kind, number, place, call.keys, call.args);
    } catch (thrown) {
      this.#settle(number, call, thrown as GatewayError);
      return;
    }
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#flushPlanned = false;
    if (this.#out.empty) return;
    const frame = this.#out.take();
    if (this.#stream !== null && this.#scripts !== null) this.#stream.write(frame);
  }

  #take({ kind, call: number, values }: AnswerRecord): void {
    switch (kind) {
      case FromStore.HELLO:
        this.#hello(values);
        return;
      case FromStore.MEMBERS:
        this.#members = Number(values[0]);
        return;
      case FromStore.MESSAGE:
        this.#subscriptions.message(String(values[0]), Number(values[1]), String(values[2]));
        return;
      default:
    }
    const call = this.#calls.get(number);
    // After its deadline.
    if (call === undefined) return;
    if (kind !== FromStore.ERROR) {
      this.#monitor.roundTripMs = this.#answeredMs - call.startMs;
      this.#settle(number, call, values);
      return;
    }
    const [code, detail] = values as readonly [string, string];
    this.#settle(number, call, new GatewayError(Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : "INTERNAL", detail));
  }

  #hello(values: readonly FrameValue[]): void {
    const [, members, ...names] = values;
    this.#members = Number(members);
    this.#scripts = new Map(names.map((name, i) => [String(name), i]));
    this.#monitor.become("ready", "");
    for (const [number, call] of this.#calls) this.#send(number, call);
    this.#subscriptions.resume();
  }

  #detach(stream: Duplex): void {
    if (stream !== this.#stream) return;
    this.#stream = null;
    this.#scripts = null;
    this.#out.take();
    if (this.#closed) return;
    this.#monitor.reconnects++;
    this.#subscriptions.suspend();
    // Not "unavailable" yet: a new process takes over within the time that a call may wait.
    this.#answeredMs = this.#options.clock.now();
    this.#monitor.become("connecting", "the store's process was lost");
    this.#failAll((call) => !call.repeatable, new GatewayError("STORE_UNAVAILABLE", "the store's process was lost before it answered"));
    const { clock, timeoutMs } = this.#options;
    this.#deadline ??= clock.after(timeoutMs, () => this.#expireSoon());
    this.#options.requestPipe();
  }

  /** When this process itself was busy, answers lie in the pipe: they are read before their calls are judged. */
  #expireSoon(): void {
    setImmediate(() => this.#expire());
  }

  #expire(): void {
    this.#deadline = null;
    if (this.#closed) return;
    const nowMs = this.#options.clock.now();
    const { timeoutMs } = this.#options;
    for (const [number, call] of this.#calls) {
      if (call.deadlineMs > nowMs) break;
      this.#monitor.timeouts++;
      // Nothing at all since it was sent: the process hangs, and who comes next does not wait for it.
      if (this.#answeredMs <= call.startMs) this.#monitor.become("unavailable", `no answer for ${timeoutMs} ms`);
      this.#settle(number, call, new GatewayError("STORE_TIMEOUT", `no answer within ${timeoutMs} ms`));
    }
    if (this.#scripts === null && nowMs - this.#answeredMs >= timeoutMs) this.#monitor.become("unavailable", "the store's process is not there");
    const [next] = this.#calls.values();
    if (next !== undefined) this.#deadline = this.#options.clock.after(Math.max(1, next.deadlineMs - nowMs), () => this.#expireSoon());
  }

  #settle(number: number, call: Call, outcome: readonly FrameValue[] | GatewayError): void {
    this.#calls.delete(number);
    if (outcome instanceof GatewayError) {
      this.#monitor.failures++;
      call.reject(outcome);
    } else call.resolve(outcome);
  }

  #failAll(which: (call: Call) => boolean, error: GatewayError): void {
    for (const [number, call] of this.#calls) if (which(call)) this.#settle(number, call, error);
  }
}
