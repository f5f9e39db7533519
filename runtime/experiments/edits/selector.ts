/** A CSS selector as steps that a stream can decide: each on the start tag alone, given its ancestors and its place among its siblings. */
import { AttributeAction, parse, type AttributeSelector, type PseudoSelector, type Selector, SelectorType } from "css-what";

/** What an attribute must be. `operator` as in css-what; "not" is `!=`. */
export interface AttributeTest {
  readonly name: string;
  readonly operator: AttributeAction;
  readonly value: string;
  readonly ignoreCase: boolean;
}

/** Every `step`th child beginning with `offset`, counted from 1. */
export interface NthTest {
  readonly step: number;
  readonly offset: number;
}

/** What one element must be. */
export interface Compound {
  /** Lowercase; "" for any. */
  readonly tag: string;
  readonly attributes: readonly AttributeTest[];
  readonly nth: readonly NthTest[];
  /** None of these may hold. */
  readonly not: readonly Compound[];
}

/** One compound and how it hangs on the one before it. */
export interface SelectorStep {
  readonly link: "first" | "descendant" | "child";
  readonly compound: Compound;
}

/** A selector that can't be used: `at` is the offset of what is wrong in its text. */
export interface SelectorFault {
  readonly at: number;
  readonly message: string;
}

export type ReadSelector =
  | { readonly chains: readonly (readonly SelectorStep[])[]; readonly fault: null }
  | { readonly chains: null; readonly fault: SelectorFault };

const MAX_SELECTOR_UNITS = 1024;
const MAX_STEPS = 32;
const MAX_CHAINS = 32;

const SUPPORTED = 'supported are types, .class, #id, [attribute], descendant (" ") and child (">"), :nth-child(), :first-child and :not()';
const TAG = /^[A-Za-z][\w.:-]*$/;
const ATTRIBUTE = /^[^\s"'<>/=]+$/;
// CSS Syntax, section 4.3.11, without escapes.
const IDENT = /^(?:-?[A-Z_a-z\u0080-\uffff]|--)[\w\u0080-\uffff-]*$/;
/** `2n+1`, `-n+3`, `odd`, `4` (CSS Syntax, section 6). */
const NTH = /^(?:([+-]?\d{0,6})n(?:\s*([+-])\s*(\d{1,6}))?|([+-]?\d{1,6}))$/;
/** Attributes whose values selectors compare without regard to case (HTML, 4.16.2). */
const CASELESS: ReadonlySet<string> = new Set(
  "accept accept-charset align alink axis bgcolor charset checked clear codetype color compact declare defer dir direction disabled enctype face frame hreflang http-equiv lang language link media method multiple nohref noresize noshade nowrap readonly rel rev rules scope scrolling selected shape target text type valign valuetype vlink".split(
    " ",
  ),
);

/** What is unsupported, found while reading. */
class Unsupported extends Error {}

export function readSelector(text: string): ReadSelector {
  if (text.length > MAX_SELECTOR_UNITS) return faulty(MAX_SELECTOR_UNITS, `a selector of ${text.length} characters; at most ${MAX_SELECTOR_UNITS} are read`);
  const whole = attempt(text);
  if (typeof whole !== "string") return { chains: whole, fault: null };
  // css-what tells no offsets: what can't be read begins where the longest readable beginning ends.
  for (let end = text.length - 1; end > 0; end--) {
    if (typeof attempt(text.slice(0, end)) === "string") continue;
    const readable = text.slice(0, end).trimEnd().length;
    const blanks = text.slice(readable).length - text.slice(readable).trimStart().length;
    return faulty(Math.min(readable + blanks, text.length), whole);
  }
  return faulty(text.length - text.trimStart().length, whole);
}

function faulty(at: number, message: string): ReadSelector {
  return { chains: null, fault: { at, message } };
}

/** Steps, or why there are none. */
function attempt(text: string): readonly (readonly SelectorStep[])[] | string {
  let tokens: Selector[][];
  try {
    tokens = parse(text);
  } catch (unreadable) {
    return unreadable instanceof Error ? wordOf(unreadable.message) : String(unreadable);
  }
  try {
    if (tokens.length === 0) return "the selector is empty";
    if (tokens.length > MAX_CHAINS) return `more than ${MAX_CHAINS} selectors in one list`;
    const escaped = text.includes("\\");
    return tokens.map((chain) => stepsOf(chain, escaped));
  } catch (unsupported) {
    if (unsupported instanceof Unsupported) return unsupported.message;
    throw unsupported;
  }
}

/** css-what repeats the rest of the selector in its messages; the place says that better. */
function wordOf(message: string): string {
  if (message.startsWith("Unmatched selector")) return "nothing that a selector may go on with";
  if (message.startsWith("Expected name")) return "a name is expected";
  if (message.startsWith("Missing closing parenthesis") || message.startsWith("Parenthesis")) return "a parenthesis that is not closed";
  if (message.startsWith("Attribute")) return "an attribute selector that does not end";
  if (message.startsWith("Did not expect successive")) return "two combinators in a row";
  if (message.startsWith("Empty sub-selector")) return "a selector is expected";
  return message;
}

function stepsOf(chain: readonly Selector[], escaped: boolean): readonly SelectorStep[] {
  const steps: SelectorStep[] = [];
  let link: SelectorStep["link"] = "first";
  let parts: Selector[] = [];
  const finish = () => {
    if (parts.length === 0) throw new Unsupported("an element is expected beside a combinator");
    steps.push({ link, compound: compoundOf(parts, escaped) });
    if (steps.length > MAX_STEPS) throw new Unsupported(`more than ${MAX_STEPS} elements in one selector`);
    parts = [];
  };
  for (const token of chain) {
    if (token.type === SelectorType.Descendant || token.type === SelectorType.Child) {
      finish();
      link = token.type === SelectorType.Child ? "child" : "descendant";
    } else if (
      token.type === SelectorType.Adjacent ||
      token.type === SelectorType.Sibling ||
      token.type === SelectorType.Parent ||
      token.type === SelectorType.ColumnCombinator
    ) {
      throw new Unsupported(`the ${token.type} combinator is not supported in a stream; ${SUPPORTED}`);
    } else parts.push(token);
  }
  finish();
  return steps;
}

function compoundOf(parts: readonly Selector[], escaped: boolean): Compound {
  let tag = "";
  const attributes: AttributeTest[] = [];
  const nth: NthTest[] = [];
  const not: Compound[] = [];
  for (const [i, part] of parts.entries()) {
    switch (part.type) {
      case SelectorType.Tag:
      case SelectorType.Universal:
        if (part.namespace !== null) throw new Unsupported(`namespaces are not supported; ${SUPPORTED}`);
        if (i > 0) throw new Unsupported("a type stands first among what is said of an element");
        if (part.type === SelectorType.Tag) tag = tagOf(part.name);
        break;
      case SelectorType.Attribute:
        attributes.push(attributeOf(part, escaped));
        break;
      case SelectorType.Pseudo:
        readPseudo(part, escaped, nth, not);
        break;
      default:
        throw new Unsupported(`pseudo-elements are no elements of the page; ${SUPPORTED}`);
    }
  }
  return { tag, attributes, nth, not };
}

function tagOf(name: string): string {
  if (!TAG.test(name)) throw new Unsupported(`${JSON.stringify(name)} is no type of an element`);
  return name.toLowerCase();
}

function attributeOf(part: AttributeSelector, escaped: boolean): AttributeTest {
  const { namespace, action: operator, value } = part;
  const name = part.name.toLowerCase();
  if (namespace !== null) throw new Unsupported(`namespaces are not supported; ${SUPPORTED}`);
  if (!ATTRIBUTE.test(name)) throw new Unsupported(`${JSON.stringify(name)} is no name of an attribute`);
  // "quirks" marks .class and #id, whose values are identifiers; css-what takes more for them.
  if (part.ignoreCase === "quirks" && !escaped && !IDENT.test(value)) throw new Unsupported(`${JSON.stringify(value)} is no ${name === "id" ? "id" : "class"}`);
  const ignoreCase = typeof part.ignoreCase === "boolean" ? part.ignoreCase : part.ignoreCase === null && CASELESS.has(name);
  return { name, operator, value: ignoreCase ? asciiLower(value) : value, ignoreCase };
}

function readPseudo(part: PseudoSelector, escaped: boolean, nth: NthTest[], not: Compound[]): void {
  const { name, data } = part;
  if (name === "first-child" && data === null) nth.push({ step: 0, offset: 1 });
  else if (name === "nth-child" && typeof data === "string") nth.push(nthOf(data));
  else if (name === "not" && Array.isArray(data) && data.length > 0) {
    for (const chain of data) {
      const steps = stepsOf(chain, escaped);
      if (steps.length > 1) throw new Unsupported("inside :not() stands one element, without combinators");
      not.push(steps[0]!.compound);
    }
  } else throw new Unsupported(`:${name} can't be told from a start tag, or is not supported; ${SUPPORTED}`);
}

function nthOf(data: string): NthTest {
  const text = data.trim().toLowerCase();
  if (text === "odd") return { step: 2, offset: 1 };
  if (text === "even") return { step: 2, offset: 0 };
  const match = NTH.exec(text);
  if (match === null) throw new Unsupported(`:nth-child(${data}) is not of the form an+b`);
  const [, step, sign, offset, single] = match;
  if (single !== undefined) return { step: 0, offset: Number(single) };
  const factor = step === "" || step === "+" ? 1 : step === "-" ? -1 : Number(step);
  return { step: factor, offset: offset === undefined ? 0 : Number(`${sign}${offset}`) };
}

const UPPER = /[A-Z]/;

/** Only A – Z, so that bytes of other character sets stay what they are. */
export function asciiLower(text: string): string {
  return UPPER.test(text) ? text.replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) : text;
}
