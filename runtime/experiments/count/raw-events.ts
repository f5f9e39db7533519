/**
 * Exposures and goals as JSON lines, for a warehouse: to a file, or to a webhook. Names are those that GrowthBook's exposure and fact tables and
 * OpenFeature's tracking use. Once for each unit as far as this worker remembers; `id` tells what comes twice. Bounded: what cannot be kept is
 * dropped and counted, and no exchange ever waits.
 */
import { open, mkdir, type FileHandle } from "node:fs/promises";
import path from "node:path";
import type { Clock, Timer } from "../../clock.ts";
import type { Assignment } from "../assign/plan.ts";
import type { CountedExchange } from "./counting.ts";
import { hashedUnit, longHash } from "./run.ts";

export type RawTarget = { readonly kind: "file"; readonly file: string } | { readonly kind: "webhook"; readonly url: string };

export interface RawEventsConfig {
  readonly target: RawTarget;
  /** `"hashed"`: SHA-256, half of it, in hex; `"plain"`: as the request has it. */
  readonly unit: "hashed" | "plain";
}

export interface RawParts {
  readonly clock: Clock;
  readonly warn: (text: string) => void;
  /** In place of the network. */
  readonly fetch?: typeof fetch;
}

export interface RawStatus {
  readonly written: number;
  readonly dropped: number;
  /** Batches that were refused or not taken, tried again or given up. */
  readonly failures: number;
}

const MOST_LINES = 10_000;
/** Paths and units are as long as clients make them. */
const MOST_CHARACTERS = 16 * 1024 * 1024;
const BATCH_LINES = 500;
const WRITE_MS = 500;
const ATTEMPTS = 4;
const FIRST_RETRY_MS = 1_000;
const ANSWER_MS = 5_000;

export class RawEvents {
  readonly #config: RawEventsConfig;
  readonly #parts: RawParts;
  readonly #lines: string[] = [];
  #characters = 0;
  readonly #counts = { written: 0, dropped: 0, failures: 0 };
  #writing: Promise<void> | null = null;
  #timer: Timer | null = null;
  #file: FileHandle | null = null;
  #attempt = 0;
  #told = false;
  #closed = false;

  constructor(config: RawEventsConfig, parts: RawParts) {
    this.#config = config;
    this.#parts = parts;
  }

  exposure(assignment: Assignment, exchange: CountedExchange): void {
    const facts = this.#facts(assignment, exchange.atUnixMs);
    this.#add({
      event: "exposure",
      id: longHash(`x ${facts.experiment_id} ${facts.version} ${assignment.countAs}`),
      ...facts,
      variation_index: assignment.index,
      reason: assignment.reason,
      request_id: exchange.requestId,
      attributes: exchange.attributes,
    });
  }

  goal(assignment: Assignment, goal: string, value: number | null, atUnixMs: number, exchange: CountedExchange | null): void {
    const facts = this.#facts(assignment, atUnixMs);
    this.#add({
      event: "goal",
      id: longHash(`g ${facts.experiment_id} ${facts.version} ${assignment.countAs} ${goal} ${value === null ? "" : `${atUnixMs} ${value}`}`),
      ...facts,
      goal,
      ...(value === null ? {} : { value }),
      ...(exchange === null ? {} : { request_id: exchange.requestId, attributes: exchange.attributes }),
    });
  }

  #facts({ experiment, variant, bucketVersion, countAs }: Assignment, atUnixMs: number) {
    return {
      timestamp: new Date(atUnixMs).toISOString(),
      experiment_id: experiment,
      version: bucketVersion,
      variation_id: variant,
      unit_id: this.#config.unit === "plain" ? countAs! : hashedUnit(countAs!),
    };
  }

  #add(value: object): void {
    const line = this.#closed || this.#lines.length >= MOST_LINES ? null : `${JSON.stringify(value)}\n`;
    if (line === null || this.#characters + line.length > MOST_CHARACTERS) {
      this.#counts.dropped++;
      return;
    }
    this.#lines.push(line);
    this.#characters += line.length;
    this.#writeIn(WRITE_MS);
  }

  #writeIn(ms: number): void {
    if (this.#closed) return;
    this.#timer ??= this.#parts.clock.after(ms, () => {
      this.#timer = null;
      void this.write();
    });
  }

  /** What there is, in batches; one that fails is tried again later, and given up after some times. */
  write(): Promise<void> {
    return (this.#writing ??= this.#write().finally(() => (this.#writing = null)));
  }

  async #write(): Promise<void> {
    while (this.#lines.length > 0) {
      const batch = this.#lines.slice(0, BATCH_LINES);
      try {
        await this.#send(batch.join(""));
        this.#attempt = 0;
        this.#told = false;
        this.#counts.written += batch.length;
      } catch (thrown) {
        this.#counts.failures++;
        if (!this.#told) this.#parts.warn(`experiments.raw: ${(thrown as Error).message}`);
        this.#told = true;
        if (++this.#attempt < ATTEMPTS) {
          this.#writeIn(FIRST_RETRY_MS * 2 ** (this.#attempt - 1));
          return;
        }
        this.#attempt = 0;
        this.#counts.dropped += batch.length;
      }
      for (const line of this.#lines.splice(0, batch.length)) this.#characters -= line.length;
    }
  }

  async #send(text: string): Promise<void> {
    const { target } = this.#config;
    if (target.kind === "file") {
      if (this.#file === null) {
        await mkdir(path.dirname(target.file), { recursive: true });
        this.#file = await open(target.file, "a", 0o600);
      }
      // Whole lines in one write: workers append to the same file.
      await this.#file.write(text);
      return;
    }
    const answer = await (this.#parts.fetch ?? fetch)(target.url, {
      method: "POST",
      headers: { "content-type": "application/x-ndjson" },
      body: text,
      redirect: "error",
      signal: AbortSignal.timeout(ANSWER_MS),
    });
    await answer.body?.cancel();
    if (!answer.ok) throw new Error(`${new URL(target.url).host} answered ${answer.status}`);
  }

  status(): RawStatus {
    return { ...this.#counts };
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#timer?.cancel();
    await this.write();
    this.#counts.dropped += this.#lines.length;
    await this.#file?.close();
  }
}
