/** Node's own parser, in process, as a second opinion. */
import { createRequire } from "node:module";

interface NativeParser {
  initialize(type: number, resource: object, headerBytes: number): void;
  execute(bytes: Buffer): number | Error;
  finish(): number | Error | undefined;
  [callback: number]: unknown;
}
interface ParserClass {
  new (): NativeParser;
  readonly REQUEST: number;
  readonly RESPONSE: number;
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
  /** Of responses, else 0. */
  readonly status: number;
  /** As written: name, value, … */
  readonly fields: string[];
  readonly keepAlive: boolean;
  readonly upgrade: boolean;
  body: string;
  complete: boolean;
}

export interface Read {
  readonly messages: Message[];
  /** What stopped it, or "". */
  readonly error: string;
}

/** What `kOnHeadersComplete` may answer: the body is read, or there is none. */
const READ_BODY = 0;
const NO_BODY = 1;

/** Above all limits of ours. */
const HEADER_BYTES = 1 << 20;

class SecondOpinion {
  // Made anew for each text it would cost more than the text.
  readonly #parser = new HTTPParser();
  #messages: Message[] = [];
  #early: string[] = [];
  #url = "";
  #withoutBody = false;

  constructor() {
    const parser = this.#parser;
    parser[HTTPParser.kOnMessageBegin] = () => {
      this.#early = [];
      this.#url = "";
    };
    parser[HTTPParser.kOnHeaders] = (fields: string[], more: string) => {
      this.#early.push(...fields);
      this.#url += more;
    };
    parser[HTTPParser.kOnHeadersComplete] = (
      _major: number,
      _minor: number,
      fields: string[] | undefined,
      method: number | undefined,
      target: string | undefined,
      status: number | undefined,
      _reason: string | undefined,
      upgrade: boolean,
      keepAlive: boolean,
    ) => {
      this.#messages.push({
        method: method === undefined ? "" : methods[method]!,
        target: this.#url + (target ?? ""),
        status: status ?? 0,
        fields: [...this.#early, ...(fields ?? [])],
        keepAlive,
        upgrade,
        body: "",
        complete: false,
      });
      this.#early = [];
      return this.#withoutBody ? NO_BODY : READ_BODY;
    };
    parser[HTTPParser.kOnBody] = (bytes: Buffer) => {
      this.#messages.at(-1)!.body += bytes.toString("latin1");
    };
    parser[HTTPParser.kOnMessageComplete] = () => {
      this.#messages.at(-1)!.complete = true;
    };
  }

  read(type: number, text: string, withoutBody: boolean, closes: boolean): Read {
    this.#messages = [];
    this.#early = [];
    this.#url = "";
    this.#withoutBody = withoutBody;
    this.#parser.initialize(type, {}, HEADER_BYTES);
    let result: number | Error | undefined = this.#parser.execute(Buffer.from(text, "latin1"));
    if (closes && !(result instanceof Error)) result = this.#parser.finish();
    return { messages: this.#messages, error: result instanceof Error ? ((result as NodeJS.ErrnoException).code ?? result.message) : "" };
  }
}

const opinion = new SecondOpinion();

/** The requests that llhttp finds in `text`. */
export function llhttpRequests(text: string): Read {
  return opinion.read(HTTPParser.REQUEST, text, false, false);
}

/** The responses, informational ones too, to requests of one method; `text` is followed by the end of the connection. */
export function llhttpResponses(text: string, toHead: boolean): Read {
  return opinion.read(HTTPParser.RESPONSE, text, toHead, true);
}
