/** Edits → what the editor asks for each start tag: decided once, frozen, used for every page. */
import { createHash } from "node:crypto";
import type { HtmlEdit } from "../../../sdk/html.ts";
import { GatewayError } from "../../errors.ts";
import { type Content, InsertedElement, PlainContent } from "./content.ts";
import { type Compound, readSelector, type SelectorStep } from "./selector.ts";
import { type AttributeEdit, escapeAttribute } from "./start-tag.ts";

const MAX_EDITS = 256;
/** Of all selectors of one set of edits together; each costs two bits for every open element. */
const MAX_STEPS = 2048;

export interface EditFault {
  /** Index in the list of edits. */
  readonly edit: number;
  readonly selector: string;
  /** Offset in the selector. */
  readonly at: number;
  readonly message: string;
}

/** A rule decides itself what is done to each matched element. */
export interface ElementCallback {
  readonly kind: "callback";
  readonly selector: string;
  /** Who is called: a rule's number, and which of its callbacks. */
  readonly rule: number;
  readonly handler: number;
}
/** What may be asked for. Only rules have callbacks. */
export type PageEdit = HtmlEdit | ElementCallback;

/** What is done to a matched element. */
export type ElementAction =
  | { readonly kind: "before" | "after" | "prepend" | "append" | "replace" | "content"; readonly content: Content }
  | { readonly kind: "remove" }
  | { readonly kind: "attribute"; readonly edit: AttributeEdit };
export type Action = ElementAction | ElementCallback;

/** One step of a selector among all of them. `previous`: index of the step it hangs on; a smaller one. */
export interface Step {
  readonly link: SelectorStep["link"];
  readonly previous: number;
  readonly compound: Compound;
  /** Edits of which this is the last step, by their indexes, ascending. */
  readonly edits: readonly number[];
}

export interface CompiledEdits {
  /** Eight hex digits of what the edits are; the same edits have the same. For ETags and keys of edited variants. */
  readonly id: string;
  readonly empty: boolean;
  /** There are callbacks among the edits. */
  readonly asks: boolean;
  readonly steps: readonly Step[];
  readonly actions: readonly Action[];
  /** Steps that an element of a type may be: by its name, and those that any may be. Ascending. */
  readonly byTag: ReadonlyMap<string, readonly number[]>;
  readonly anyTag: readonly number[];
  /** What goes into `<head>` and `<body>`, also when a page leaves their tags out. */
  readonly headInserts: readonly Content[];
  readonly bodyInserts: readonly Content[];
}

/** What is wrong with the selectors of `edits`, all at once. */
export function findEditFaults(edits: readonly PageEdit[]): EditFault[] {
  const faults: EditFault[] = [];
  for (const [edit, one] of edits.entries()) {
    if (!("selector" in one)) continue;
    const { fault } = readSelector(one.selector);
    if (fault !== null) faults.push({ edit, selector: one.selector, ...fault });
  }
  return faults;
}

/** Throws `RULE_EFFECT` for the first selector that can't be used, with its place. */
export function compileEdits(edits: readonly PageEdit[]): CompiledEdits {
  if (edits.length > MAX_EDITS) throw new GatewayError("RULE_EFFECT", `${edits.length} HTML edits for one page, at most ${MAX_EDITS} are made`);
  const table = new StepTable();
  const actions: Action[] = [];
  const headInserts: Content[] = [];
  const bodyInserts: Content[] = [];
  for (const edit of edits) {
    const action = edit.kind === "callback" ? edit : actionOf(edit);
    const index = actions.push(action) - 1;
    if ("selector" in edit) table.add(edit.selector, index);
    else {
      table.add(edit.at.startsWith("head") ? "head" : "body", index);
      if ("content" in action) (edit.at.startsWith("head") ? headInserts : bodyInserts).push(action.content);
    }
  }
  const { steps } = table;
  if (steps.length > MAX_STEPS)
    throw new GatewayError("RULE_EFFECT", `the selectors of ${edits.length} HTML edits name ${steps.length} elements, at most ${MAX_STEPS} are allowed`);
  const anyTag = steps.flatMap((step, i) => (step.compound.tag === "" ? [i] : []));
  const byTag = new Map<string, number[]>();
  for (const { compound } of steps) {
    const { tag } = compound;
    if (tag !== "" && !byTag.has(tag))
      byTag.set(
        tag,
        steps.flatMap((step, i) => (step.compound.tag === "" || step.compound.tag === tag ? [i] : [])),
      );
  }
  const id = createHash("sha256").update(JSON.stringify(edits)).digest("hex").slice(0, 8);
  const asks = actions.some(({ kind }) => kind === "callback");
  return Object.freeze({ id, empty: edits.length === 0, asks, steps, actions, byTag, anyTag, headInserts, bodyInserts });
}

/** Steps of all selectors; selectors that begin alike share them. */
class StepTable {
  readonly steps: { link: Step["link"]; previous: number; compound: Compound; edits: number[] }[] = [];
  readonly #known = new Map<string, number>();

  add(selector: string, edit: number): void {
    const { chains, fault } = readSelector(selector);
    if (fault !== null) throw new GatewayError("RULE_EFFECT", `the selector ${JSON.stringify(selector)} at character ${fault.at + 1}: ${fault.message}`);
    for (const chain of chains) {
      let previous = -1;
      for (const { link, compound } of chain) previous = this.#step(link, previous, compound);
      const { edits } = this.steps[previous]!;
      // `h1, h1` is one match.
      if (edits.at(-1) !== edit) edits.push(edit);
    }
  }
  #step(link: Step["link"], previous: number, compound: Compound): number {
    const key = JSON.stringify([link, previous, compound]);
    let index = this.#known.get(key);
    if (index === undefined) {
      index = this.steps.push({ link, previous, compound, edits: [] }) - 1;
      this.#known.set(key, index);
    }
    return index;
  }
}

export function actionOf(edit: HtmlEdit): ElementAction {
  switch (edit.kind) {
    case "setContent":
      return { kind: "content", content: new PlainContent(edit.content.as, edit.content.value) };
    case "before":
    case "after":
    case "prepend":
    case "append":
    case "replace":
      return { kind: edit.kind, content: new PlainContent(edit.content.as, edit.content.value) };
    case "remove":
      return { kind: "remove" };
    case "setAttribute":
      return attribute("set", edit.name, edit.value, []);
    case "removeAttribute":
      return attribute("remove", edit.name, "", []);
    case "addClass":
    case "removeClass":
      return attribute(edit.kind, "class", "", edit.classes);
    case "insertScript":
    case "insertStyle":
      return { kind: edit.at.endsWith("start") ? "prepend" : "append", content: insertedElement(edit) };
  }
}

function attribute(kind: AttributeEdit["kind"], written: string, value: string, classes: readonly string[]): ElementAction {
  return {
    kind: "attribute",
    edit: { kind, name: written.toLowerCase(), written, value: value.toWellFormed(), classes: classes.map((name) => name.toWellFormed()) },
  };
}

function insertedElement({ kind, attributes, nonce, code }: Extract<HtmlEdit, { kind: "insertScript" | "insertStyle" }>): InsertedElement {
  const tag = kind === "insertScript" ? "script" : attributes.some(([name]) => name === "href") ? "link" : "style";
  const written = attributes.map(([name, value]) => (value === "" ? ` ${name}` : ` ${name}="${escapeAttribute(value.toWellFormed())}"`)).join("");
  return new InsertedElement(tag, written, nonce, code);
}
