/** `sluice tail`: live exchanges, lines and exceptions of rules, of one gateway or several. */
import type { TailEvent } from "../observe/tail.ts";
import { AdminCallError, doorOf } from "./admin-call.ts";
import { droppedText, tailLines, type TailNotice } from "./tail-text.ts";
import type { Terminal } from "./terminal.ts";

export interface TailOptions {
  readonly admin: readonly string[];
  readonly config: string;
  readonly rule?: string;
  readonly status?: string;
  readonly path?: string;
  readonly method?: string;
  readonly trace?: string;
  readonly errors: boolean;
  readonly rate: string;
}

const FAILED = 1;
const BAD_USAGE = 2;
const DROPPED_NOTICE_MS = 1_000;
/** Of one event: a worker cuts every text in it. */
const EVENT_LIMIT_UNITS = 256 * 1024;

/** For people: what came together in a second is one notice, or notices would be most of what they see. The rest is in the sum at the end. */
class DroppedNotice {
  readonly #gateways = new Map<string, { lines: number; errors: number; toldMs: number }>();

  take(gateway: string, { lines, errors, ...event }: Extract<TailNotice, { type: "dropped" }>): TailNotice[] {
    const seen = this.#gateways.get(gateway) ?? { lines: 0, errors: 0, toldMs: -Infinity };
    this.#gateways.set(gateway, seen);
    seen.lines += lines;
    seen.errors += errors;
    if (performance.now() - seen.toldMs < DROPPED_NOTICE_MS) return [];
    this.#gateways.set(gateway, { lines: 0, errors: 0, toldMs: performance.now() });
    return [{ ...event, lines: seen.lines, errors: seen.errors }];
  }
}

/** Runs until it is interrupted, or until no gateway is left to follow. */
export async function tail(options: TailOptions, terminal: Terminal): Promise<number> {
  const places = options.admin.length === 0 ? [undefined] : options.admin;
  const stop = new AbortController();
  const interrupt = () => stop.abort();
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, interrupt);
  const sums = { lines: 0, errors: 0 };
  const dropped = new DroppedNotice();
  const colours = process.stdout.isTTY && (process.env["NO_COLOR"] ?? "") === "";
  const several = places.length > 1;
  const ends = await Promise.all(
    places.map((admin) =>
      follow(options, admin, stop.signal, (event, gateway) => {
        if (event.type === "dropped") {
          sums.lines += event.lines;
          sums.errors += event.errors;
        }
        const shown = (told: TailEvent | TailNotice) => tailLines(told, colours).map((line) => (several ? `${gateway}  ${line}` : line));
        terminal.result(several ? { gateway, ...event } : event, () => (event.type === "dropped" ? dropped.take(gateway, event).flatMap(shown) : shown(event)));
      }).catch((thrown: unknown) => {
        if (stop.signal.aborted) return 0;
        if (!(thrown instanceof AdminCallError)) throw thrown;
        terminal.problem(thrown.message);
        return thrown.code === "BODY_REFUSED" ? BAD_USAGE : FAILED;
      }),
    ),
  );
  if (sums.lines + sums.errors > 0) terminal.say(`${droppedText(sums.lines, sums.errors)} in all`);
  return Math.max(...ends);
}

/** Rejects when it was interrupted, and when the gateway could not be followed, or not any longer. */
async function follow(
  options: TailOptions,
  admin: string | undefined,
  signal: AbortSignal,
  take: (event: TailEvent | TailNotice, gateway: string) => void,
): Promise<never> {
  const { base, ask } = await doorOf({ ...(admin === undefined ? {} : { admin }), config: options.config });
  const query = new URLSearchParams();
  for (const name of ["rule", "status", "path", "method", "trace", "rate"] as const) if (options[name] !== undefined) query.set(name, options[name]);
  if (options.errors) query.set("errors", "true");
  const answer = await ask(`/v1/tail?${query.toString()}`, { signal });
  if (!answer.ok) {
    const { code, found, expected } = (await answer.json()) as Readonly<Record<string, unknown>>;
    throw new AdminCallError(`${base}: ${String(code)}: found ${String(found)}, expected ${String(expected)}`, { code: String(code) });
  }
  try {
    for await (const event of eventsOf(answer.body!)) take(event, new URL(base).host);
  } catch (cause) {
    throw new AdminCallError(`${base}: the connection broke off (${(cause as Error).message})`, { cause });
  }
  throw new AdminCallError(`${base}: the gateway ended the stream`);
}

/** The `data` of an event stream (WHATWG HTML, section 9.2.6), in the one form that the gateway writes. */
async function* eventsOf(body: ReadableStream<Uint8Array>): AsyncGenerator<TailEvent | TailNotice> {
  let text = "";
  for await (const piece of body.pipeThrough(new TextDecoderStream() as ReadableWritablePair<string, Uint8Array>)) {
    text += piece;
    let from = 0;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n", from)) {
      if (text.startsWith("data: ", from)) yield JSON.parse(text.slice(from + 6, end)) as TailEvent | TailNotice;
      from = end + 2;
    }
    text = text.slice(from);
    if (text.length > EVENT_LIMIT_UNITS) throw new RangeError(`an event of more than ${EVENT_LIMIT_UNITS} characters`);
  }
}
