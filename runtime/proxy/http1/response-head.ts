/** Heads as they leave for a client, each as one Latin-1 string. */
import { STATUS_CODES } from "node:http";
import type { Clock } from "../../clock.ts";
import type { Fields } from "../fields.ts";

const STATUS_LINES = new Map<number, string>();
for (const [status, reason] of Object.entries(STATUS_CODES)) STATUS_LINES.set(Number(status), `HTTP/1.1 ${status} ${reason}\r\n`);

export function statusLine(status: number): string {
  return STATUS_LINES.get(status) ?? `HTTP/1.1 ${status} \r\n`;
}

/**
 * Framing and connection fields are the front's alone. Should one slip into `fields`, a second Content-Length or
 * Transfer-Encoding would split the response for whoever reads it next, so they are left out here whatever happened before.
 */
function isFrontsOwn(name: string): boolean {
  switch (name.length) {
    case 7:
      return name === "upgrade";
    case 10:
      return name === "connection" || name === "keep-alive";
    case 14:
      return name === "content-length";
    case 16:
      return name === "proxy-connection";
    case 17:
      return name === "transfer-encoding";
    default:
      return false;
  }
}

/** Status line and fields, without the blank line. Adds Date when absent (RFC 9110 section 6.6.1). */
export function headLines(status: number, fields: Fields, dates: DateLine): string {
  let text = statusLine(status);
  let dated = false;
  const list = fields.list;
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i]!;
    if (isFrontsOwn(name)) continue;
    if (name === "date") dated = true;
    text += `${name}: ${list[i + 1]}\r\n`;
  }
  return dated || status < 200 ? text : text + dates.line();
}

/** Field lines alone, for trailers. */
export function trailerLines(fields: Fields): string {
  let text = "";
  const list = fields.list;
  for (let i = 0; i < list.length; i += 2) if (!isFrontsOwn(list[i]!)) text += `${list[i]}: ${list[i + 1]}\r\n`;
  return text;
}

/** `date: …` made once a second. */
export class DateLine {
  readonly #clock: Clock;
  #second = -1;
  #line = "";

  constructor(clock: Clock) {
    this.#clock = clock;
  }
  line(): string {
    const second = Math.floor(this.#clock.unixMs() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#line = `date: ${new Date(second * 1000).toUTCString()}\r\n`;
    }
    return this.#line;
  }
}
