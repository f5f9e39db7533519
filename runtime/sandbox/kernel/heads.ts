/**
 * Request and response heads as a hook call shares them among its rules. Parsed when something asks: a rule that only sets
 * fields parses none, one that reads a field searches for it (values hold no LF: `protocol.ts`).
 */
import { str } from "../codec.ts";
import { Effect } from "../protocol.ts";
import { Read, type Reads } from "./reads.ts";
import type { RuleRun } from "./rule-run.ts";

/** Fields of one message, lowercase names. Changes made before anyone listed the fields wait as they are. */
export class FieldList {
  /** `first line LF name:value LF …`; searched as long as nothing changed. */
  readonly #text: string;
  readonly #bodyAt: number;
  #list: string[] | null = null;
  #changes: (readonly [kind: "set" | "append" | "delete", name: string, value: string])[] = [];
  /** A field that the wire keeps elsewhere ("host", from the authority), or "". */
  readonly #first: string;
  readonly #firstValue: string;
  readonly #reads: Reads | null;
  readonly #oneRead: string;
  readonly #allRead: string;

  constructor(text: string, reads: Reads | null, first = "", firstValue = "") {
    this.#reads = reads;
    // A request has a field that the wire keeps elsewhere.
    this.#oneRead = first === "" ? Read.RESPONSE_FIELD : Read.FIELD;
    this.#allRead = first === "" ? Read.RESPONSE_FIELDS : Read.FIELDS;
    this.#text = text;
    this.#bodyAt = text.indexOf("\n") + 1;
    this.#first = first;
    this.#firstValue = firstValue;
  }

  get(name: string): string | null {
    this.#reads?.note(name === this.#first ? Read.AUTHORITY : this.#oneRead + name);
    if (this.#list !== null || this.#changes.length > 0) {
      let joined: string | null = null;
      const list = this.#listed();
      for (let i = 0; i < list.length; i += 2) if (list[i] === name) joined = joined === null ? list[i + 1]! : `${joined}, ${list[i + 1]}`;
      return joined;
    }
    if (name === this.#first) return this.#firstValue === "" ? null : this.#firstValue;
    const text = this.#text;
    const key = `\n${name}:`;
    let at = text.indexOf(key, this.#bodyAt - 1);
    if (at < 0) return null;
    let joined: string | null = null;
    for (; at >= 0; at = text.indexOf(key, at + key.length)) {
      const value = text.slice(at + key.length, text.indexOf("\n", at + key.length));
      joined = joined === null ? value : `${joined}, ${value}`;
    }
    return joined;
  }
  has(name: string): boolean {
    return this.get(name) !== null;
  }
  getAll(name: string): string[] {
    this.#reads?.note(name === this.#first ? Read.AUTHORITY : this.#oneRead + name);
    const list = this.#listed();
    return list.filter((_, i) => i % 2 === 1 && list[i - 1] === name);
  }
  set(name: string, value: string): void {
    this.#change("set", name, value);
  }
  append(name: string, value: string): void {
    this.#change("append", name, value);
  }
  delete(name: string): void {
    this.#change("delete", name, "");
  }

  /** name, value, name, value, … in the order of the wire. */
  list(): readonly string[] {
    this.#reads?.note(this.#allRead);
    if (this.#first !== "") this.#reads?.note(Read.AUTHORITY);
    return this.#listed();
  }

  #listed(): readonly string[] {
    const list = (this.#list ??= this.#parse());
    if (this.#changes.length > 0) {
      for (const change of this.#changes) apply(list, change);
      this.#changes = [];
    }
    return list;
  }

  #change(kind: "set" | "append" | "delete", name: string, value: string): void {
    if (this.#list === null) this.#changes.push([kind, name, value]);
    else apply(this.#list, [kind, name, value]);
  }
  #parse(): string[] {
    const list: string[] = this.#first === "" || this.#firstValue === "" ? [] : [this.#first, this.#firstValue];
    const text = this.#text;
    for (let at = this.#bodyAt; at > 0 && at < text.length;) {
      const colon = text.indexOf(":", at);
      const end = text.indexOf("\n", colon);
      list.push(text.slice(at, colon), text.slice(colon + 1, end));
      at = end + 1;
    }
    return list;
  }
}

function apply(list: string[], [kind, name, value]: readonly ["set" | "append" | "delete", string, string]): void {
  if (kind === "append") {
    list.push(name, value);
    return;
  }
  let kept = 0;
  let placed = kind === "delete";
  for (let i = 0; i < list.length; i += 2) {
    if (list[i] === name) {
      if (placed) continue;
      placed = true;
      list[kept + 1] = value;
    } else list[kept + 1] = list[i + 1]!;
    list[kept] = list[i]!;
    kept += 2;
  }
  list.length = kept;
  if (!placed) list.push(name, value);
}

export class RequestHead {
  readonly fields: FieldList;
  /** The upstream that a rule of this call picked, or null. */
  upstream: string | null = null;
  pinnedTarget = "";
  /** The body, once a rule has read it. */
  body: Promise<string> | null = null;
  readonly #reads: Reads | null;
  readonly #scheme: "http" | "https";
  readonly #authority: string;
  #method: string;
  #target: string;
  /** As the worker has it, once `flushTarget` ran. */
  #sentTarget: string;

  constructor(text: string, reads: Reads | null) {
    const end = text.indexOf("\n");
    const scheme = text.indexOf(" ") + 1;
    const authority = text.indexOf(" ", scheme) + 1;
    const target = text.indexOf(" ", authority) + 1;
    this.#reads = reads;
    this.#method = text.slice(0, scheme - 1);
    this.#scheme = authority - scheme === 6 ? "https" : "http";
    this.#authority = text.slice(authority, target - 1);
    this.#target = this.#sentTarget = text.slice(target, end);
    this.fields = new FieldList(text, reads, "host", this.#authority);
  }

  get method(): string {
    this.#reads?.note(Read.METHOD);
    return this.#method;
  }
  set method(method: string) {
    this.#method = method;
  }
  get scheme(): "http" | "https" {
    this.#reads?.note(Read.SCHEME);
    return this.#scheme;
  }
  get authority(): string {
    this.#reads?.note(Read.AUTHORITY);
    return this.#authority;
  }
  get target(): string {
    this.#reads?.note(Read.PATH);
    this.#reads?.note(Read.QUERY);
    return this.#target;
  }
  /** What leaves for the worker depends on what the target was. */
  set target(target: string) {
    this.#reads?.note(Read.PATH);
    this.#reads?.note(Read.QUERY);
    this.#target = target;
  }
  get path(): string {
    this.#reads?.note(Read.PATH);
    const mark = this.#target.indexOf("?");
    return mark < 0 ? this.#target : this.#target.slice(0, mark);
  }
  get query(): string {
    this.#reads?.note(Read.QUERY);
    const mark = this.#target.indexOf("?");
    return mark < 0 ? "" : this.#target.slice(mark + 1);
  }
  /** Changes of path and query leave together, once per rule. */
  flushTarget(run: RuleRun): void {
    if (this.#target === this.#sentTarget) return;
    this.#sentTarget = this.#target;
    run.effect(Effect.TARGET, str(this.#target));
  }
}

export class ResponseHead {
  readonly fields: FieldList;
  body: Promise<string> | null = null;
  readonly #reads: Reads | null;
  #status: number;

  constructor(text: string, reads: Reads | null) {
    this.#reads = reads;
    this.#status = Number(text.slice(0, text.indexOf("\n")));
    this.fields = new FieldList(text, reads);
  }

  get status(): number {
    this.#reads?.note(Read.STATUS);
    return this.#status;
  }
  set status(status: number) {
    this.#status = status;
  }
}
