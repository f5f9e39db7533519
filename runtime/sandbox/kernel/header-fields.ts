/** `req.headers` and `res.headers`: what the rule changes is seen at once by it and by later rules, and leaves as effects. */
import { str } from "../codec.ts";
import { Effect } from "../protocol.ts";
import { describe } from "./failure.ts";
import type { FieldList } from "./heads.ts";
import type { RuleRun } from "./rule-run.ts";

const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
// RFC 9110 section 5.5. Anything else could end the line: U+010D U+010A written as Latin-1 becomes CR LF.
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const UPPER = /[A-Z]/;

/** Framing and hop-by-hop fields (RFC 9110 section 7.6.1) are the gateway's own business. */
const RESERVED: ReadonlySet<string> = new Set(["connection", "content-length", "host", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"]);

export class HeaderFields {
  readonly #fields: FieldList;
  readonly #run: RuleRun;
  /** Why nothing may be changed, or "". */
  readonly #readOnly: string;

  constructor(fields: FieldList, run: RuleRun, readOnly: string) {
    this.#fields = fields;
    this.#run = run;
    this.#readOnly = readOnly;
  }

  get(name: string): string | null {
    return this.#fields.get(fieldName(name));
  }
  has(name: string): boolean {
    return this.#fields.has(fieldName(name));
  }
  getAll(name: string): string[] {
    return this.#fields.getAll(fieldName(name));
  }
  getSetCookie(): string[] {
    return this.#fields.getAll("set-cookie");
  }
  set(name: string, value: string): void {
    const key = this.#changeable(name);
    const text = fieldValue(key, value);
    this.#run.effect(Effect.SET_FIELD, str(key) + str(text));
    this.#fields.set(key, text);
  }
  append(name: string, value: string): void {
    const key = this.#changeable(name);
    const text = fieldValue(key, value);
    this.#run.effect(Effect.APPEND_FIELD, str(key) + str(text));
    this.#fields.append(key, text);
  }
  delete(name: string): void {
    const key = this.#changeable(name);
    this.#run.effect(Effect.DELETE_FIELD, str(key));
    this.#fields.delete(key);
  }
  /** Fields of one name are joined by ", ", except Set-Cookie, which comes once for each. */
  *entries(): IterableIterator<[name: string, value: string]> {
    const list = this.#fields.list().slice();
    const seen = new Set<string>();
    for (let i = 0; i < list.length; i += 2) {
      const name = list[i]!;
      if (name === "set-cookie") yield [name, list[i + 1]!];
      else if (!seen.has(name)) {
        seen.add(name);
        yield [name, list.filter((_, at) => at % 2 === 1 && list[at - 1] === name).join(", ")];
      }
    }
  }
  *keys(): IterableIterator<string> {
    for (const [name] of this.entries()) yield name;
  }
  *values(): IterableIterator<string> {
    for (const [, value] of this.entries()) yield value;
  }
  forEach(run: (value: string, name: string) => void): void {
    for (const [name, value] of this.entries()) run(value, name);
  }
  [Symbol.iterator](): IterableIterator<[name: string, value: string]> {
    return this.entries();
  }
  toJSON(): Record<string, string> {
    return Object.fromEntries(this.entries());
  }

  #changeable(name: string): string {
    const key = fieldName(name);
    if (this.#readOnly !== "") throw new TypeError(`headers: ${key} cannot be changed: ${this.#readOnly}`);
    if (RESERVED.has(key)) throw new TypeError(`headers: ${key} belongs to the gateway and cannot be changed`);
    return key;
  }
}

export function fieldName(name: unknown): string {
  if (typeof name !== "string" || !TOKEN.test(name)) throw new TypeError(`headers: ${describe(name)} is no header name (RFC 9110 section 5.1)`);
  return UPPER.test(name) ? name.toLowerCase() : name;
}

export function fieldValue(name: string, value: unknown): string {
  const text = (typeof value === "string" ? value : String(value)).replace(/^[\t ]+|[\t ]+$/g, "");
  if (!FIELD_VALUE.test(text)) throw new TypeError(`headers: the value of ${name} holds characters that no header may hold (RFC 9110 section 5.5)`);
  return text;
}
