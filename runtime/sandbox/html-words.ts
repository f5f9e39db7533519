/** An HTML edit as it crosses from the sandbox: JSON that the kernel wrote and that the worker reads as a stranger's. */
import type { HtmlEdit } from "../../sdk/html.ts";
import { type ElementCallback, findEditFaults } from "../experiments/edits/edits.ts";
import { parsed } from "./apply-effects.ts";

const MAX_CLASSES = 64;
const MAX_ATTRIBUTES = 16;
const ATTRIBUTE_NAME = /^[^\u0000-\u0020"'<>/=\u007f]{1,256}$/;
const NONCE = /^[A-Za-z0-9+/_=-]{0,256}$/;
const PLACE = /^(?:head|body)-(?:start|end)$/;

/** Why what `rule` asks for can't be made, or "". */
export function htmlEditFault(json: string, rule: number): string {
  const value = parsed(json);
  if (!isHtmlEdit(value) && !isCallback(value, rule)) return "no HTML edit";
  const [fault] = findEditFaults([value]);
  return fault === undefined ? "" : `the selector ${JSON.stringify(fault.selector)} at character ${fault.at + 1}: ${fault.message}`;
}

/** Has it the shape of one? Its selector may still be none. */
export function isHtmlEdit(value: unknown): value is HtmlEdit {
  return typeof value === "object" && value !== null && isEdit(value as Loose);
}

/** The same for what a callback asks of its element. The selector of such edits means nothing. */
export function elementEditsFault(edits: readonly unknown[]): string {
  const sound = edits.every((edit) => typeof edit === "object" && edit !== null && "selector" in edit && isEdit(edit as Loose));
  return sound ? "" : "no edit of an element";
}

type Loose = Readonly<Record<string, unknown>>;

/** Of the shape of `HtmlEdit`. */
function isEdit(edit: Loose): boolean {
  if (edit["kind"] === "insertScript" || edit["kind"] === "insertStyle")
    return isText(edit["at"], PLACE) && isText(edit["nonce"], NONCE) && isText(edit["code"]) && areAttributes(edit["attributes"]);
  if (!isText(edit["selector"])) return false;
  switch (edit["kind"]) {
    case "setContent":
    case "before":
    case "after":
    case "prepend":
    case "append":
    case "replace":
      return isContent(edit["content"]);
    case "remove":
      return true;
    case "setAttribute":
      return isText(edit["name"], ATTRIBUTE_NAME) && isText(edit["value"]);
    case "removeAttribute":
      return isText(edit["name"], ATTRIBUTE_NAME);
    case "addClass":
    case "removeClass":
      return isList(edit["classes"], MAX_CLASSES) && edit["classes"].every((name) => isText(name));
    default:
      return false;
  }
}

/** A rule speaks for itself. */
function isCallback(value: unknown, rule: number): value is ElementCallback {
  const { kind, selector, handler, rule: whose } = (value ?? {}) as Loose;
  return kind === "callback" && isText(selector) && whose === rule && typeof handler === "number" && Number.isInteger(handler) && handler >= 0;
}

function isText(value: unknown, pattern: RegExp | null = null): value is string {
  return typeof value === "string" && (pattern === null || pattern.test(value));
}

function isList(value: unknown, most: number): value is unknown[] {
  return Array.isArray(value) && value.length <= most;
}

function isContent(value: unknown): boolean {
  const { as, value: content } = (value ?? {}) as Loose;
  return (as === "text" || as === "html") && isText(content);
}

function areAttributes(value: unknown): boolean {
  return isList(value, MAX_ATTRIBUTES) && value.every((pair) => isList(pair, 2) && isText(pair[0], ATTRIBUTE_NAME) && isText(pair[1]));
}
