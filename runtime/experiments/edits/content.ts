/** What edits put into a page, as bytes of its character set; encoded once for each set and place. */
import { Buffer } from "node:buffer";
import { type Charset, pageText } from "./charset.ts";
import { escapeText } from "./start-tag.ts";

/** What surrounds it: ordinary markup (also `<title>` and `<textarea>`), or an element whose content is not escaped. */
export type Surrounding = "markup" | "script" | "style" | "raw";

const UNESCAPED: ReadonlyMap<string, Surrounding> = new Map([
  ["script", "script"],
  ["style", "style"],
  ["xmp", "raw"],
  ["iframe", "raw"],
  ["noembed", "raw"],
  ["noframes", "raw"],
  ["plaintext", "raw"],
]);

export function surroundingIn(tag: string, foreign: boolean): Surrounding {
  return foreign ? "markup" : (UNESCAPED.get(tag) ?? "markup");
}

export interface Content {
  bytes(charset: Charset, surrounding: Surrounding, nonce: string): Buffer;
}

export class PlainContent implements Content {
  readonly #as: "text" | "html";
  readonly #value: string;
  /** At most sets × surroundings: about 160. */
  readonly #encoded = new Map<string, Buffer>();

  constructor(as: "text" | "html", value: string) {
    this.#as = as;
    this.#value = value.toWellFormed();
  }
  bytes(charset: Charset, surrounding: Surrounding): Buffer {
    const key = `${surrounding} ${charset.name}`;
    let bytes = this.#encoded.get(key);
    if (bytes === undefined) {
      const text = this.#as === "html" ? this.#value : written(this.#value, surrounding);
      bytes = Buffer.from(pageText(text, charset, surrounding === "script" || surrounding === "style" ? surrounding : "markup"), "latin1");
      this.#encoded.set(key, bytes);
    }
    return bytes;
  }
}

/** Text that stays text: in a script or style sheet nothing is unescaped, so nothing there may end the element or open a comment. */
function written(text: string, surrounding: Surrounding): string {
  switch (surrounding) {
    case "markup":
      return escapeText(text);
    case "script":
      return scriptText(text);
    case "style":
      return styleText(text);
    case "raw":
      return text.replaceAll("</", "< /");
  }
}

/** `</script` and `<!--` inside strings, as strings of JavaScript and JSON may hold them (HTML, 4.12.1.3). */
function scriptText(code: string): string {
  return code.replace(/<(?=\/script|script|!--)/gi, "\\u003c");
}

function styleText(rules: string): string {
  return rules.replace(/<(?=\/style|!--)/gi, "\\3c ");
}

/** A script or style element, with the nonce that a page's policy asks for. */
export class InsertedElement implements Content {
  readonly #open: string;
  readonly #code: string;
  readonly #close: string;
  readonly #context: "script" | "style";
  /** "", a nonce, or "page". */
  readonly #nonce: string;

  /** `attributes`: written already, each with a space in front. */
  constructor(tag: "script" | "style" | "link", attributes: string, nonce: string, code: string) {
    this.#context = tag === "script" ? "script" : "style";
    this.#open = `<${tag}${attributes}`;
    this.#code = tag === "script" ? scriptText(code.toWellFormed()) : styleText(code.toWellFormed());
    this.#close = tag === "link" ? "" : `</${tag}>`;
    this.#nonce = nonce;
  }
  bytes(charset: Charset, _surrounding: Surrounding, pageNonce: string): Buffer {
    const nonce = this.#nonce === "page" ? pageNonce : this.#nonce;
    const open = pageText(this.#open, charset, "markup") + (nonce === "" ? "" : ` nonce="${nonce}"`);
    return Buffer.from(`${open}>${pageText(this.#code, charset, this.#context)}${this.#close}`, "latin1");
  }
}
