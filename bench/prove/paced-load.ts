/** So many GETs a second on kept connections, one at a time on each, every answer looked at and timed. Raw sockets: an HTTP client would take the core that the gateway needs. */
import net from "node:net";

export interface PacedOptions {
  readonly port: number;
  readonly connections: number;
  readonly perSecond: number;
  readonly path: (n: number) => string;
  /** "" when the answer is right, else what is wrong with it. `head` ends before the empty line. */
  readonly judge: (head: string, body: string) => string;
}

export interface PacedTally {
  readonly sent: number;
  readonly answered: number;
  readonly failed: number;
  /** The first few, in words. */
  readonly failures: readonly string[];
  readonly tookMs: number;
  /** From sending to the last byte. */
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
}

const TICK_MS = 2;
const KEPT_FAILURES = 3;
const LAST_ANSWER_DEADLINE_MS = 10_000;

export class PacedLoad {
  readonly #options: PacedOptions;
  readonly #sockets = new Set<net.Socket>();
  readonly #free: net.Socket[] = [];
  #tick: NodeJS.Timeout | null = null;
  #startedMs = 0;
  #sent = 0;
  #answered = 0;
  #failed = 0;
  #failures: string[] = [];
  #tookMs: number[] = [];
  #path = 0;

  constructor(options: PacedOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    await Promise.all(Array.from({ length: this.#options.connections }, () => this.#connect()));
    this.#begin();
    this.#tick = setInterval(() => this.#offer(), TICK_MS);
  }

  /** What was found since the start, or since the last call; what is on its way counts for the next. */
  take(): PacedTally {
    const sorted = Float64Array.from(this.#tookMs).sort();
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
    const tally = {
      sent: this.#sent,
      answered: this.#answered,
      failed: this.#failed,
      failures: this.#failures,
      tookMs: performance.now() - this.#startedMs,
      p50Ms: at(0.5),
      p99Ms: at(0.99),
      longestMs: at(1),
    };
    this.#begin();
    return tally;
  }

  /** For `using`: nothing goes on when a measurement breaks off. */
  [Symbol.dispose](): void {
    if (this.#tick !== null) clearInterval(this.#tick);
    this.#tick = null;
    for (const socket of this.#sockets) socket.destroy();
    this.#sockets.clear();
  }

  /** Lets the last answers come. */
  async stop(): Promise<PacedTally> {
    if (this.#tick !== null) clearInterval(this.#tick);
    this.#tick = null;
    const deadlineMs = performance.now() + LAST_ANSWER_DEADLINE_MS;
    while (this.#free.length < this.#sockets.size && performance.now() < deadlineMs) await new Promise((resolve) => setTimeout(resolve, TICK_MS));
    if (this.#free.length < this.#sockets.size) this.#fail(`${this.#sockets.size - this.#free.length} requests were never answered`);
    this[Symbol.dispose]();
    return this.take();
  }

  #begin(): void {
    this.#startedMs = performance.now();
    this.#sent = this.#answered = this.#failed = 0;
    this.#failures = [];
    this.#tookMs = [];
  }

  /** What is late is not made up for in a burst: at most as many at once as there are free connections. */
  #offer(): void {
    const due = Math.floor(((performance.now() - this.#startedMs) / 1_000) * this.#options.perSecond);
    while (this.#sent < due) {
      // In turn: a connection that rests for long is closed by the gateway, perhaps in the moment in which it is used again.
      const socket = this.#free.shift();
      if (socket === undefined) return;
      this.#sent++;
      this.#ask(socket);
    }
  }

  #ask(socket: net.Socket): void {
    socket.write(`GET ${this.#options.path(this.#path++)} HTTP/1.1\r\nhost: prove.example\r\n\r\n`);
    asked.set(socket, performance.now());
  }

  #connect(): Promise<void> {
    return new Promise((resolve, reject) => {
      const socket = net.connect({ port: this.#options.port, host: "127.0.0.1", noDelay: true });
      let text = "";
      socket.once("connect", () => {
        socket.off("error", reject);
        socket.on("error", (error) => this.#fail(error.message));
        this.#sockets.add(socket);
        this.#free.push(socket);
        resolve();
      });
      socket.once("error", reject);
      socket.on("data", (piece: Buffer) => {
        text += piece.toString("latin1");
        const headEnd = text.indexOf("\r\n\r\n");
        if (headEnd === -1) return;
        const length = /\r\ncontent-length: *(\d+)/i.exec(text.slice(0, headEnd));
        const end = headEnd + 4 + Number(length?.[1] ?? Number.NaN);
        if (Number.isNaN(end)) return void socket.destroy(new Error(`an answer without Content-Length: ${text.slice(0, headEnd)}`));
        if (text.length < end) return;
        const [head, body] = [text.slice(0, headEnd), text.slice(headEnd + 4, end)];
        text = text.slice(end);
        this.#answer(socket, head, body);
      });
      socket.once("close", () => this.#closed(socket));
    });
  }

  #answer(socket: net.Socket, head: string, body: string): void {
    this.#answered++;
    this.#tookMs.push(performance.now() - asked.get(socket)!);
    const fault = this.#options.judge(head, body);
    if (fault !== "") this.#fail(fault);
    // A server that says so closes, and another connection takes the place of this one.
    if (!/\r\nconnection: *close/i.test(head)) this.#free.push(socket);
    asked.delete(socket);
  }

  #closed(socket: net.Socket): void {
    if (!this.#sockets.delete(socket) || this.#tick === null) return;
    const place = this.#free.indexOf(socket);
    if (place !== -1) this.#free.splice(place, 1);
    if (asked.delete(socket)) this.#fail("a connection was closed before its answer");
    void this.#connect().catch((error: unknown) => this.#fail((error as Error).message));
  }

  #fail(why: string): void {
    this.#failed++;
    if (this.#failures.length < KEPT_FAILURES) this.#failures.push(why);
  }
}

/** When each was sent. */
const asked = new WeakMap<net.Socket, number>();
