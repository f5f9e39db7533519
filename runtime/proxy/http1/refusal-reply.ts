import type { GatewayError } from "../../errors.ts";
import { statusLine } from "./response-head.ts";
import type { DateLine } from "./response-head.ts";

/** The whole answer to bytes that were no request, or to a connection too many. Says the code, never the detail: what was found goes to the log. */
export function refusalText(error: GatewayError, dates: DateLine): string {
  const body = `${error.status} ${error.code}\n`;
  return (
    `${statusLine(error.status)}content-type: text/plain; charset=utf-8\r\nsluice-error: ${error.code}\r\n` +
    `content-length: ${body.length}\r\n${dates.line()}connection: close\r\n\r\n${body}`
  );
}
