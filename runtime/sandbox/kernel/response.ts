/** `res` in `onOriginResponse` and `onResponse`. */
import { htmlVerbs } from "../../../sdk/html.ts";
import type { PageEdits } from "../../../sdk/html-element.ts";
import type { CacheDecision } from "../../../sdk/index.ts";
import { str } from "../codec.ts";
import { Effect } from "../protocol.ts";
import { BodyReader } from "./body-reader.ts";
import { cacheDecisionText } from "./cache-words.ts";
import { contentOf } from "./content.ts";
import { describe } from "./failure.ts";
import { HeaderFields } from "./header-fields.ts";
import type { ResponseHead } from "./heads.ts";
import type { RuleRun } from "./rule-run.ts";

export class ResponseFacade extends BodyReader {
  readonly #run: RuleRun;
  readonly #head: ResponseHead;
  #headers: HeaderFields | null = null;
  #html: PageEdits | null = null;

  constructor(run: RuleRun) {
    const head = run.hookCall.response;
    if (head === null) throw new TypeError(`${run.phase}: no response came with it`);
    super(run, "responseBody", head);
    this.#run = run;
    this.#head = head;
  }

  get status(): number {
    return this.#head.status;
  }
  set status(status: number) {
    if (this.#run.phase !== "onResponse") throw new TypeError(`res.status cannot be changed in ${this.#run.phase}`);
    if (!Number.isInteger(status) || status < 200 || status > 599)
      throw new RangeError(`res.status: a status from 200 to 599 is expected, found ${describe(status)}`);
    this.#run.effect(Effect.STATUS, `${status};`);
    this.#head.status = status;
  }
  get from(): string {
    return this.#run.hookCall.from;
  }
  get headers(): HeaderFields {
    return (this.#headers ??= new HeaderFields(this.#head.fields, this.#run, ""));
  }
  cache(decision: CacheDecision): void {
    if (this.#run.phase !== "onOriginResponse") throw new TypeError(`res.cache is not to be had in ${this.#run.phase}: the answer is stored, or not, by then`);
    this.#run.effect(Effect.CACHE, str(cacheDecisionText(decision)));
  }
  get html(): PageEdits {
    if (this.#run.phase !== "onResponse") throw new TypeError(`res.html is not to be had in ${this.#run.phase}: pages are edited when they are delivered`);
    return (this.#html ??= {
      ...htmlVerbs((edit) => this.#run.effect(Effect.HTML, str(JSON.stringify(edit)))),
      on: (selector, handlers) => this.#onElement(selector, handlers),
    });
  }
  #onElement(selector: unknown, handlers: unknown): void {
    if (typeof selector !== "string" || selector.trim() === "") throw new TypeError("res.html.on: a CSS selector is expected");
    const element: unknown = typeof handlers === "object" && handlers !== null ? (handlers as { element?: unknown }).element : undefined;
    if (typeof element !== "function") throw new TypeError(`res.html.on: { element(el) { … } } is expected, found ${describe(handlers)}`);
    const run = this.#run;
    const handler = run.elementCallbacks?.length ?? 0;
    run.effect(Effect.HTML, str(JSON.stringify({ kind: "callback", selector, rule: run.rule.index, handler })));
    (run.elementCallbacks ??= []).push((found) => Reflect.apply(element, handlers, [found]) as unknown);
  }
  setBody(body: unknown): void {
    const content = contentOf(body, "res.setBody");
    this.#run.body(content.bytes);
    this.#head.body = Promise.resolve(content.bytes);
    if (this.#head.fields.has("content-encoding")) this.headers.delete("content-encoding");
    if (content.type !== "" && !this.#head.fields.has("content-type")) this.headers.set("content-type", content.type);
  }
}
