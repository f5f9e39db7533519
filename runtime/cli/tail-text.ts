/** Live lines for people: one line an event, stacks and texts of several lines indented below it. */
import type { TailEvent } from "../observe/tail.ts";

/** What a gateway says beside what its workers tell. */
export type TailNotice =
  | { readonly type: "tail"; readonly workers: number }
  | { readonly type: "dropped"; readonly worker: number; readonly lines: number; readonly errors: number }
  | { readonly type: "worker"; readonly worker: number; readonly event: "joined" | "ended" | "lost" };

/** Select Graphic Rendition (ECMA-48, section 8.3.117). */
const COLOURS = { plain: 0, dim: 2, red: 31, green: 32, yellow: 33, cyan: 36 } as const;
type Colour = keyof typeof COLOURS;

const STATUS_COLOURS: readonly Colour[] = ["red", "plain", "green", "cyan", "yellow", "red"];
const LEVEL_COLOURS: Readonly<Record<string, Colour>> = { debug: "dim", info: "plain", warn: "yellow", error: "red" };

export function tailLines(given: TailEvent | TailNotice, colours: boolean): string[] {
  const paint = (colour: Colour, text: string): string => (colours && text !== "" ? `\x1b[${COLOURS[colour]}m${text}\x1b[0m` : text);
  const event = harmless(given);
  switch (event.type) {
    case "exchange": {
      const status = paint(STATUS_COLOURS[Math.trunc(event.status / 100)] ?? "red", String(event.status || 499));
      const from = event.from === "upstream" ? event.target : [event.from, event.rule].filter(Boolean).join(" ");
      const why = event.code === "" ? "" : `  ${paint(event.failed ? "red" : "yellow", event.code)} ${event.detail}`;
      return lines(
        `${clockTime(event.atMs)} ${status} ${event.method} ${event.host}${event.path}  ${paint("dim", `${took(event.durationMs)}  ${from}  ${event.client}  ${event.id}`)}${event.beside === "" ? "" : `  ${paint("yellow", `${event.beside} ${event.release}`)}`}${event.variants === "" ? "" : `  ${event.variants}`}${why}`,
      );
    }
    case "log":
      return lines(
        `${clockTime(event.atMs)} ${paint(LEVEL_COLOURS[event.level] ?? "plain", event.level)} ${event.rule}  ${paint("dim", event.id)}  ${event.text}`,
      );
    case "exception":
      return lines(
        `${clockTime(event.atMs)} ${paint("red", event.kind)} ${event.rule} ${event.phase} (${event.outcome})  ${paint("dim", event.id)}\n${event.stack === "" ? event.message : event.stack}`,
      );
    case "step":
      return lines(`${clockTime(event.atMs)} ${paint("cyan", event.phase)} ${event.rule}  ${event.text}  ${paint("dim", event.place)}`);
    case "sandbox":
      return lines(
        `${clockTime(event.atMs)} ${paint("yellow", `sandbox ${event.event}`)} worker ${event.worker}${event.rule === "" ? "" : `, by ${event.rule}`}${event.reason === "" ? "" : `: ${event.reason}`}`,
      );
    case "refused":
    case "defect":
      return lines(`${clockTime(event.atMs)} ${paint(event.type === "defect" ? "red" : "yellow", `${event.type} ${event.code}`)} ${event.detail}`);
    case "dropped":
      return [
        paint(
          "yellow",
          `${droppedText(event.lines, event.errors)}: more than --rate and this reader take; --rule, --status, --path and --errors narrow it down`,
        ),
      ];
    case "worker":
      return [paint(event.event === "lost" ? "red" : "dim", `worker ${event.worker} ${event.event}`)];
    case "tail":
      return [paint("dim", `following ${event.workers} worker${event.workers === 1 ? "" : "s"}`)];
  }
}

export function droppedText(ordinary: number, errors: number): string {
  return `${ordinary} line${ordinary === 1 ? "" : "s"}${errors === 0 ? "" : ` and ${errors} ERROR${errors === 1 ? "" : "S"}`} dropped`;
}

/** Paths, texts and messages are strangers' words: an escape sequence or a change of direction among them could rewrite what the terminal shows. */
function harmless<Event extends object>(event: Event): Event {
  return Object.fromEntries(
    Object.entries(event).map(([name, value]: [string, unknown]) => [name, typeof value === "string" ? spelled(value) : value]),
  ) as Event;
}

function spelled(text: string): string {
  return text.replaceAll(
    /[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

function lines(text: string): string[] {
  const [first = "", ...more] = text.split("\n");
  return [first.trimEnd(), ...more.map((line) => `    ${line.trim()}`)];
}

function took(ms: number): string {
  return ms < 10 ? `${ms.toFixed(1)} ms` : `${Math.round(ms)} ms`;
}

function clockTime(atMs: number): string {
  return new Date(atMs).toISOString().slice(11, 23);
}
