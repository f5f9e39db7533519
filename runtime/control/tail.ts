/** `GET /v1/tail`: live exchanges, lines and exceptions of rules, as an event stream. A reader that is slow loses lines and is told how many; nobody waits for it. */
import type { ServerResponse } from "node:http";
import type { TailBatch, TailFilter } from "../observe/tail.ts";
import { type Endpoint, failure } from "./answers.ts";
import { readTailFilter } from "./tail-request.ts";

export interface TailReader {
  /** `more` is called when there is room for the next one. */
  batch(worker: number, batch: TailBatch, more: () => void): void;
  worker(worker: number, event: "joined" | "ended" | "lost"): void;
}

export interface OpenTail {
  readonly workers: number;
  close(): void;
}

export interface TailSource {
  /** Are there as many readers as the gateway bears? */
  readonly isFull: boolean;
  open(filter: TailFilter, reader: TailReader): OpenTail;
}

/** Proxies between reader and gateway close what is silent for long. */
const BEAT_MS = 15_000;

export function tailEndpoint(source: TailSource): Endpoint {
  return {
    path: "/v1/tail",
    method: "GET",
    role: "read",
    about: "Live exchanges, lines and exceptions of rules, as an event stream of JSON: TailEvents, and what was dropped.",
    parameters: {
      rule: "exchanges in which this rule ran, and its lines",
      status: "404, 5xx, 400-499; several with commas between",
      path: "this path; * stands for anything",
      method: "several with commas between",
      errors: "true: only what failed",
      trace: "the exchange with this request id",
      rate: "ordinary lines a second of each worker (100 unless told otherwise), or all; errors always come, and what is dropped is counted",
    },
    answers: { 200: "text/event-stream" },
    refusals: { 400: ["BODY_REFUSED"], 429: ["TOO_MANY_TAILS"] },
    answer({ query }) {
      const filter = readTailFilter(query);
      if ("expected" in filter) return failure(400, { code: "BODY_REFUSED", ...filter });
      if (source.isFull) return failure(429, { code: "TOO_MANY_TAILS", found: "as many readers as a gateway bears", expected: "that one of them leaves" });
      return { status: 200, type: "text/event-stream", stream: (response) => stream(response, source, filter) };
    },
  };
}

function stream(response: ServerResponse, source: TailSource, filter: TailFilter): void {
  /** Workers that go on when the reader has taken what it has. */
  let waiting: (() => void)[] = [];
  response.on("drain", () => {
    const all = waiting;
    waiting = [];
    for (const more of all) more();
  });
  response.socket?.setKeepAlive(true, BEAT_MS);
  const open = source.open(filter, {
    batch(worker, { lines, droppedLines, droppedErrors }, more) {
      let text = lines.map((line) => `data: ${line}\n\n`).join("");
      if (droppedLines + droppedErrors > 0) text += event({ type: "dropped", worker, lines: droppedLines, errors: droppedErrors });
      if (response.write(text)) more();
      else waiting.push(more);
    },
    worker: (worker, what) => void response.write(event({ type: "worker", worker, event: what })),
  });
  response.write(event({ type: "tail", workers: open.workers }));
  const beat = setInterval(() => {
    if (!response.writableNeedDrain) response.write(": still here\n\n");
  }, BEAT_MS);
  beat.unref();
  response.on("close", () => {
    clearInterval(beat);
    open.close();
  });
  // A client that left while its request was judged.
  if (response.destroyed) open.close();
}

/** JSON holds no line break, so one `data` line carries it (WHATWG HTML, section 9.2.6). */
function event(value: object): string {
  return `data: ${JSON.stringify(value)}\n\n`;
}
