/** The store in Redis: standalone, behind Sentinel, or a Cluster. Calls of one event-loop turn share a pipeline; none outlives its time-out. */
import { randomBytes } from "node:crypto";
import type { Clock, Timer } from "../../clock.ts";
import type { RedisConfig } from "../../config/resolved.ts";
import { GatewayError } from "../../errors.ts";
import { Monitor } from "../monitor.ts";
import { defineScript, scriptKeysDefect, type StoreScript } from "../script.ts";
import type { SetOptions, Store, StoreArgument, StoreEvent, StoreHealth, StoreReply, Subscription } from "../store.ts";
import { Batches, connect, failureOf, isMissingScript, isRefusal, type Client } from "./connection.ts";
import { PendingCalls } from "./pending.ts";
import { TopicReader } from "./topics.ts";

export interface RedisStoreOptions {
  readonly config: RedisConfig;
  readonly timeoutMs: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly gateway: string;
  readonly member: boolean;
  readonly warn: (text: string) => void;
}

const publishScript = defineScript({ name: "store:publish", lua: new URL("./publish.lua", import.meta.url), embedded: () => [] });
const positionScript = defineScript({ name: "store:position", lua: new URL("./position.lua", import.meta.url), embedded: () => [] });
const membersScript = defineScript({ name: "store:members", lua: new URL("./members.lua", import.meta.url), embedded: () => [] });
const rightsScript = defineScript({ name: "store:rights", lua: new URL("./rights.lua", import.meta.url), embedded: () => [] });

const OLDEST = [6, 2] as const;
const KEPT_MESSAGES = 1000;
const MAX_MESSAGE_UNITS = 1024 * 1024;
/** "I am still here", and while Redis is away: is it back? */
const BEAT_MS = 1000;
const PROBE_MS = 200;
const MEMBER_LIFE_MS = 4000;
/** Rights and versions are mended by people. */
const REFUSED_RETRY_MS = 3000;
/** A server that answers nothing for so long gets a new connection: the old one may be dead without knowing. */
const SILENT_MS = 3000;

export class RedisStore implements Store {
  readonly kind = "redis";
  readonly #options: RedisStoreOptions;
  readonly #clock: Clock;
  readonly #monitor: Monitor;
  readonly #client: Client;
  readonly #batches: Batches;
  readonly #pending: PendingCalls;
  readonly #entry: string;
  /** Scripts that were sent whole once: from then on their digest is enough. */
  readonly #sent = new Set<string>();
  readonly #readers = new Set<TopicReader>();
  #gateways = 1;
  #members = 1;
  #answeredMs: number;
  #lostMs: number;
  /** Wait for the connection that is being made; a call takes at most its time-out of it. */
  #opening = Promise.withResolvers<void>();
  #beat: Timer | null = null;
  #closed = false;

  constructor(options: RedisStoreOptions) {
    const { clock, config, gateway, member, random, timeoutMs } = options;
    this.#options = options;
    this.#clock = clock;
    this.#monitor = new Monitor("redis", clock);
    this.#answeredMs = this.#lostMs = clock.now();
    this.#entry = `${gateway} ${member ? randomBytes(4).toString("hex") : "-"}`;
    this.#pending = new PendingCalls({
      clock,
      timeoutMs,
      onAnswer: (startMs) => {
        this.#answeredMs = clock.now();
        this.#monitor.roundTripMs = this.#answeredMs - startMs;
      },
      onFailure: () => void this.#monitor.failures++,
      onTimeout: (startMs) => this.#timedOut(startMs),
    });
    this.#opening.promise.catch(() => undefined);
    this.#client = connect({ config, random });
    this.#batches = new Batches(this.#client);
    this.#client.on("ready", () => void this.#arrived());
    this.#client.on("close", () => this.#left("the connection was closed"));
    this.#client.on("error", (error: Error) => this.#troubled(error));
    this.#beatIn(PROBE_MS);
  }

  run(script: StoreScript, keys: readonly string[], args: readonly StoreArgument[]): Promise<StoreReply> {
    const defect = scriptKeysDefect(script, keys);
    if (defect !== null) return Promise.reject(defect);
    return this.#call(
      () => this.#eval(script, keys, args),
      (thrown) => this.#evalAgain(thrown, script, keys, args),
    );
  }

  get(key: string): Promise<Buffer | null> {
    return this.#call(() => this.#client.getBuffer(this.#key(key)));
  }

  async getMany(keys: readonly string[]): Promise<(Buffer | null)[]> {
    if (keys.length === 0) return [];
    return this.#call(() =>
      this.#options.config.mode === "cluster"
        ? Promise.all(keys.map((key) => this.#client.getBuffer(this.#key(key))))
        : this.#client.mgetBuffer(keys.map((key) => this.#key(key))),
    );
  }

  async set(key: string, value: Uint8Array | string, { ttlMs }: SetOptions): Promise<void> {
    const bytes = typeof value === "string" ? value : Buffer.from(value.buffer, value.byteOffset, value.byteLength);
    await this.#call(() =>
      ttlMs === null ? this.#client.set(this.#key(key), bytes) : this.#client.set(this.#key(key), bytes, "PX", Math.max(1, Math.ceil(ttlMs))),
    );
  }

  async delete(keys: readonly string[]): Promise<number> {
    if (keys.length === 0) return 0;
    if (this.#options.config.mode !== "cluster") return this.#call(() => this.#client.unlink(keys.map((key) => this.#key(key))));
    const counts = await this.#call(() => Promise.all(keys.map((key) => this.#client.unlink(this.#key(key)))));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  async publish(topic: string, message: string): Promise<void> {
    if (message.length > MAX_MESSAGE_UNITS)
      throw new GatewayError("STORE_REFUSED", `a message of ${message.length} characters, at most ${MAX_MESSAGE_UNITS} are allowed`);
    await this.run(publishScript, this.#topicKeys(topic), [message, KEPT_MESSAGES]);
  }

  subscribe(topic: string, handler: (event: StoreEvent) => void): Subscription {
    const { clock, config, random, timeoutMs } = this.#options;
    const reader = new TopicReader({
      stream: this.#key(this.#topicKeys(topic)[0]),
      open: () => connect({ config, random }),
      position: async () => {
        const [number, id] = await this.run(positionScript, this.#topicKeys(topic), []);
        return { number: Number(number), id: String(id) };
      },
      clock,
      random,
      timeoutMs,
      tell: handler,
    });
    this.#readers.add(reader);
    return {
      ready: reader.ready,
      close: () => {
        this.#readers.delete(reader);
        reader.close();
      },
    };
  }

  health(): StoreHealth {
    return this.#monitor.health(this.#pending.size);
  }

  onHealth(listener: (health: StoreHealth) => void): () => void {
    return this.#monitor.listen(listener);
  }

  liveGateways(): number {
    return this.#gateways;
  }

  liveMembers(): number {
    return this.#members;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    const ready = this.#monitor.state === "ready";
    this.#closed = true;
    this.#beat?.cancel();
    for (const reader of this.#readers) reader.close();
    this.#pending.failAll(new GatewayError("STORE_UNAVAILABLE", "the store is closed"));
    this.#monitor.become("unavailable", "closed");
    // The others need not wait for the entry's end. When it can't be told, they do.
    if (ready) await this.#pending.bound(() => this.#eval(membersScript, ["members"], [this.#entry, 0], true)).catch(() => undefined);
    this.#client.disconnect();
  }

  #key(key: string): string {
    return this.#options.config.prefix + key;
  }

  #topicKeys(topic: string): readonly [stream: string, counter: string] {
    return [`topic:{${topic}}:stream`, `topic:{${topic}}:count`];
  }

  #call<T>(work: () => Promise<T>, again?: (thrown: unknown) => Promise<T> | null): Promise<T> {
    this.#monitor.calls++;
    if (this.#monitor.state === "ready") {
      this.#batches.join();
      return this.#pending.bound(work, again);
    }
    if (this.#monitor.state === "connecting") return this.#pending.bound(() => this.#opening.promise.then(work), again);
    this.#monitor.failures++;
    return Promise.reject(new GatewayError(this.#monitor.state === "refused" ? "STORE_REFUSED" : "STORE_UNAVAILABLE", this.#monitor.reason));
  }

  /** Scripts go by their digest once they were sent whole. */
  #eval(script: StoreScript, keys: readonly string[], args: readonly StoreArgument[], whole = !this.#sent.has(script.sha1)): Promise<StoreReply> {
    const all: StoreArgument[] = [];
    for (const key of keys) all.push(this.#key(key));
    for (const arg of args) all.push(arg);
    if (!whole) return this.#client.evalsha(script.sha1, keys.length, ...all) as Promise<StoreReply>;
    this.#sent.add(script.sha1);
    return this.#client.eval(script.lua, keys.length, ...all) as Promise<StoreReply>;
  }

  /** Flushed, restarted, or another node: once more, whole. */
  #evalAgain(thrown: unknown, script: StoreScript, keys: readonly string[], args: readonly StoreArgument[]): Promise<StoreReply> | null {
    return isMissingScript(thrown) ? this.#eval(script, keys, args, true) : null;
  }

  /** A connection is there: is it one to work with? */
  async #arrived(): Promise<void> {
    try {
      await this.#pending.bound(() => this.#verify());
    } catch (thrown) {
      if (isRefusal(thrown)) this.#refuse(failureOf(thrown).detail);
      else this.#left(failureOf(thrown).detail);
      return;
    }
    this.#become("ready", "");
    await this.#renew();
  }

  async #verify(): Promise<void> {
    const version = await this.#version();
    const [major = 0, minor = 0] = version.split(".").map(Number);
    if (version !== "" && (major < OLDEST[0] || (major === OLDEST[0] && minor < OLDEST[1])))
      throw new GatewayError("STORE_REFUSED", `Redis ${version} is too old: ${OLDEST.join(".")} or newer is expected`);
    await this.#eval(rightsScript, ["{check}a", "{check}b", "{check}c"], [], true);
  }

  /** "" when this user may not ask: the script then tries what only newer ones have. */
  async #version(): Promise<string> {
    try {
      const info = String(await this.#client.info("server"));
      return /^redis_version:(\S+)/m.exec(info)?.[1] ?? "";
    } catch (thrown) {
      if (isRefusal(thrown)) return "";
      throw thrown;
    }
  }

  #become(state: "ready" | "unavailable" | "connecting", reason: string): void {
    if (this.#closed) return;
    this.#monitor.become(state, reason);
    if (state === "ready") {
      this.#answeredMs = this.#clock.now();
      this.#opening.resolve();
    } else if (state === "unavailable") {
      this.#opening.reject(new GatewayError("STORE_UNAVAILABLE", reason));
      this.#reopen();
    }
  }

  #reopen(): void {
    this.#opening = Promise.withResolvers();
    this.#opening.promise.catch(() => undefined);
  }

  /** Lost: within one time-out it may be back, and calls wait for that; then they fail at once. */
  #left(reason: string): void {
    if (this.#closed || this.#monitor.state !== "ready") return;
    this.#monitor.reconnects++;
    this.#lostMs = this.#clock.now();
    this.#reopen();
    this.#become("connecting", reason);
  }

  #troubled(thrown: Error): void {
    // A cluster says that no node would have us, and why in here.
    const error = (thrown as { lastNodeError?: Error }).lastNodeError ?? thrown;
    if (isRefusal(error)) this.#refuse(failureOf(error).detail);
    else if (this.#monitor.state === "connecting" || this.#monitor.state === "unavailable") this.#monitor.become(this.#monitor.state, error.message);
  }

  #refuse(reason: string): void {
    if (this.#closed) return;
    if (this.#monitor.state !== "refused") this.#options.warn(`Redis refuses: ${reason}`);
    this.#monitor.become("refused", reason);
    this.#opening.reject(new GatewayError("STORE_REFUSED", reason));
    this.#reopen();
    this.#beatIn(REFUSED_RETRY_MS);
  }

  /** Nothing at all since that call was sent: who comes next does not wait. */
  #timedOut(startMs: number): void {
    this.#monitor.timeouts++;
    if (this.#monitor.state !== "ready" || this.#answeredMs > startMs) return;
    this.#monitor.reconnects++;
    this.#become("unavailable", `no answer for ${this.#options.timeoutMs} ms`);
    this.#beatIn(PROBE_MS);
  }

  #beatIn(ms: number): void {
    this.#beat?.cancel();
    if (!this.#closed) this.#beat = this.#clock.after(ms * (0.8 + 0.4 * this.#options.random()), () => void this.#onBeat());
  }

  async #onBeat(): Promise<void> {
    const { state } = this.#monitor;
    const silentMs = this.#clock.now() - Math.max(this.#answeredMs, this.#lostMs);
    if (state === "ready") await this.#renew();
    else if (state === "connecting" && this.#clock.now() - this.#lostMs >= this.#options.timeoutMs)
      this.#become("unavailable", this.#monitor.reason || "Redis could not be reached");
    else if (this.#client.status === "ready" && state !== "connecting") {
      if (silentMs > SILENT_MS && state === "unavailable") {
        this.#lostMs = this.#clock.now();
        this.#client.disconnect(true);
      } else await this.#arrived();
    }
    this.#beatIn(this.#monitor.state === "ready" ? BEAT_MS : this.#monitor.state === "refused" ? REFUSED_RETRY_MS : PROBE_MS);
  }

  /** A failure shows where it counts: in the calls. */
  async #renew(): Promise<void> {
    const life = MEMBER_LIFE_MS;
    try {
      const [gateways, members] = await this.#pending.bound(() => this.#eval(membersScript, ["members"], [this.#entry, life], true));
      this.#gateways = Math.max(1, Number(gateways));
      this.#members = Math.max(1, Number(members));
    } catch (thrown) {
      if (isRefusal(thrown)) this.#refuse(failureOf(thrown).detail);
    }
  }
}
