/** Visitors of a gateway: each on one kept connection, one request after another, every answer looked at and timed. */
import { Agent, type IncomingMessage, request } from "node:http";

export interface VisitorsOptions {
  readonly port: number;
  readonly count: number;
  /** Between an answer and the next request: visitors who leave the machine to others. 0 when left out. */
  readonly pauseMs?: number;
  readonly path: (n: number) => string;
  /** "" when the answer is right, else what is wrong with it. */
  readonly judge: (answer: Answer) => string;
}

export interface Answer {
  readonly n: number;
  readonly status: number;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export interface Tally {
  readonly requests: number;
  readonly failed: number;
  /** The first few, in words. */
  readonly failures: readonly string[];
  readonly longestMs: number;
  readonly p99Ms: number;
}

const TIMEOUT_MS = 30_000;
const KEPT_FAILURES = 3;

export class Visitors {
  readonly #options: VisitorsOptions;
  readonly #running: Promise<unknown>;
  readonly #agent: Agent;
  #stopping = false;
  #next = 0;
  #requests = 0;
  #failed = 0;
  #failures: string[] = [];
  #tookMs: number[] = [];
  #lookedAt = 0;

  constructor(options: VisitorsOptions) {
    this.#options = options;
    this.#agent = new Agent({ keepAlive: true, maxSockets: options.count });
    this.#running = Promise.all(Array.from({ length: options.count }, () => this.#visit()));
  }

  /** What was found since the last call. */
  take(): Tally {
    const sorted = this.#tookMs.sort((a, b) => a - b);
    const tally = {
      requests: this.#requests,
      failed: this.#failed,
      failures: this.#failures,
      longestMs: sorted.at(-1) ?? 0,
      p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
    };
    this.#requests = this.#failed = 0;
    this.#failures = [];
    this.#tookMs = [];
    this.#lookedAt = 0;
    return tally;
  }

  /** The same since the last look, without taking anything. */
  look(): Pick<Tally, "longestMs" | "p99Ms"> {
    const sorted = this.#tookMs.slice(this.#lookedAt).sort((a, b) => a - b);
    this.#lookedAt = this.#tookMs.length;
    return { longestMs: sorted.at(-1) ?? 0, p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0 };
  }

  /** Lets running requests come to their end. */
  async stop(): Promise<Tally> {
    this.#stopping = true;
    await this.#running;
    this.#agent.destroy();
    return this.take();
  }

  async #visit(): Promise<void> {
    while (!this.#stopping) {
      const n = this.#next++;
      const startedMs = performance.now();
      const fault = await this.#ask(n).then(this.#options.judge, (error: unknown) => (error as NodeJS.ErrnoException).code ?? String(error));
      this.#tookMs.push(performance.now() - startedMs);
      this.#requests++;
      if (this.#options.pauseMs) await new Promise((resolve) => setTimeout(resolve, this.#options.pauseMs));
      if (fault === "") continue;
      this.#failed++;
      if (this.#failures.length < KEPT_FAILURES) this.#failures.push(fault);
    }
  }

  #ask(n: number): Promise<Answer> {
    const { port, path } = this.#options;
    return new Promise((resolve, reject) => {
      const asked = request({ host: "127.0.0.1", port, path: path(n), agent: this.#agent, timeout: TIMEOUT_MS }, (response) => {
        let body = "";
        response.setEncoding("latin1");
        response.on("data", (piece: string) => (body += piece));
        response.on("error", reject);
        response.on("end", () => resolve({ n, status: response.statusCode ?? 0, headers: response.headers, body }));
      });
      asked.on("timeout", () => asked.destroy(new Error(`no answer within ${TIMEOUT_MS} ms`)));
      asked.on("error", reject);
      asked.end();
    });
  }
}
