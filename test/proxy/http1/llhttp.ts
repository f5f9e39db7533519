/** Node's own parser, in process, as a second opinion. */
import { createRequire } from "node:module";

interface NativeParser {
  initialize(type: number, resource: object): void;
  execute(bytes: Buffer): number | Error;
  finish(): Error | undefined;
  [callback: number]: unknown;
}
interface ParserClass {
  new (): NativeParser;
  readonly REQUEST: number;
  readonly kOnMessageBegin: number;
  readonly kOnHeaders: number;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
}
const { HTTPParser, methods } = createRequire(import.meta.url)("_http_common") as { HTTPParser: ParserClass; methods: readonly string[] };

export interface Message {
  readonly method: string;
  readonly target: string;
  /** As written. */
  readonly fields: string[];
  body: string;
  complete: boolean;
}

/** The messages that llhttp finds in `text`, and the error that stopped it, or "". */
export function llhttpMessages(text: string): { messages: Message[]; error: string } {
  const parser = new HTTPParser();
  parser.initialize(HTTPParser.REQUEST, {});
  const messages: Message[] = [];
  let early: string[] = [];
  let url = "";
  parser[HTTPParser.kOnMessageBegin] = () => {
    early = [];
    url = "";
  };
  parser[HTTPParser.kOnHeaders] = (fields: string[], more: string) => {
    early.push(...fields);
    url += more;
  };
  parser[HTTPParser.kOnHeadersComplete] = (_major: number, _minor: number, fields: string[] | undefined, method: number, target: string | undefined) => {
    messages.push({ method: methods[method]!, target: url + (target ?? ""), fields: [...early, ...(fields ?? [])], body: "", complete: false });
    early = [];
    return 0;
  };
  parser[HTTPParser.kOnBody] = (bytes: Buffer) => {
    messages.at(-1)!.body += bytes.toString("latin1");
  };
  parser[HTTPParser.kOnMessageComplete] = () => {
    messages.at(-1)!.complete = true;
  };
  const result = parser.execute(Buffer.from(text, "latin1"));
  return { messages, error: typeof result === "number" ? "" : ((result as NodeJS.ErrnoException).code ?? result.message) };
}
