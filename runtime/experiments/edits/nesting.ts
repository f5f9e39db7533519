/**
 * Which open elements a tag ends, by the HTML standard's tree construction (13.2.6) as far as it can be told from the names on the stack.
 * Pure: reads names, returns depths.
 */
import { FORMATTING, SPECIAL } from "./tags.ts";

/** Anything with a name on a stack; index 0 is the outermost. */
export interface Named {
  readonly name: string;
}

const names = (text: string): ReadonlySet<string> => new Set(text.split(" "));

/** 13.2.4.2, "has an element in scope", and its kinds. */
const SCOPE = names("applet caption html table td th marquee object template foreignobject");
const BUTTON_SCOPE = new Set([...SCOPE, "button"]);
const LIST_SCOPE = new Set([...SCOPE, "ol", "ul"]);
const TABLE_SCOPE = names("html table template");
const NOTHING: ReadonlySet<string> = new Set();
/** Where the search for an open list item ends: at special elements, but for these three. */
const ITEM_BOUNDARY = new Set([...SPECIAL].filter((name) => !["address", "div", "p"].includes(name)));

/** What one start tag ends. */
type Rule =
  /** The innermost of `targets` and all inside it, unless one of `boundary` stands between. */
  | { readonly kind: "inScope"; readonly targets: ReadonlySet<string>; readonly boundary: ReadonlySet<string> }
  /** The current element, if it is one of these. */
  | { readonly kind: "current"; readonly targets: ReadonlySet<string> }
  /** Everything inside the innermost of these. */
  | { readonly kind: "backTo"; readonly targets: ReadonlySet<string> };

const P: Rule = { kind: "inScope", targets: names("p"), boundary: BUTTON_SCOPE };
const HEADINGS = names("h1 h2 h3 h4 h5 h6");
const OPTION: Rule = { kind: "current", targets: names("option") };
const OPTGROUP: Rule = { kind: "current", targets: names("optgroup") };

const STARTS = new Map<string, readonly Rule[]>();
const starts = (tags: string, ...rules: readonly Rule[]) => {
  for (const tag of tags.split(" ")) STARTS.set(tag, rules);
};
starts(
  "address article aside blockquote center details dialog dir div dl fieldset figcaption figure footer header hgroup main menu nav ol p search section summary ul",
  P,
);
starts("pre listing form table xmp plaintext", P);
starts("h1 h2 h3 h4 h5 h6", P, { kind: "current", targets: HEADINGS });
starts("li", { kind: "inScope", targets: names("li"), boundary: ITEM_BOUNDARY }, P);
starts("dd dt", { kind: "inScope", targets: names("dd dt"), boundary: ITEM_BOUNDARY }, P);
starts("option", OPTION);
starts("optgroup", OPTION, OPTGROUP);
starts("hr", P, OPTION, OPTGROUP);
starts("td th", { kind: "backTo", targets: names("tr tbody thead tfoot table template") });
starts("tr", { kind: "backTo", targets: names("tbody thead tfoot table template") });
starts("tbody thead tfoot caption colgroup", { kind: "backTo", targets: names("table template") });
starts("rt rp", { kind: "current", targets: names("rt rp rb") });
starts("rb rtc", { kind: "current", targets: names("rb rp rt rtc") });
starts("button", { kind: "inScope", targets: names("button"), boundary: SCOPE });
starts("select", { kind: "inScope", targets: names("select"), boundary: SCOPE });
starts("a", { kind: "inScope", targets: names("a"), boundary: SPECIAL });

/** How many of the `depth` open elements are still open inside a start tag of that name. */
export function depthAtStart(name: string, open: readonly Named[], depth: number): number {
  const rules = STARTS.get(name);
  if (rules === undefined) return depth;
  let left = depth;
  for (const rule of rules) left = applied(rule, open, left);
  return left;
}

function applied(rule: Rule, open: readonly Named[], depth: number): number {
  switch (rule.kind) {
    case "current":
      return depth > 0 && rule.targets.has(open[depth - 1]!.name) ? depth - 1 : depth;
    case "inScope":
      for (let i = depth - 1; i >= 0; i--) {
        const { name } = open[i]!;
        if (rule.targets.has(name)) return i;
        if (rule.boundary.has(name)) return depth;
      }
      return depth;
    case "backTo":
      for (let i = depth - 1; i >= 0; i--) if (rule.targets.has(open[i]!.name)) return i + 1;
      return depth;
  }
}

const ENDS = new Map<string, { readonly targets: ReadonlySet<string>; readonly boundary: ReadonlySet<string> }>();
for (const name of SPECIAL) ENDS.set(name, { targets: names(name), boundary: SCOPE });
for (const name of HEADINGS) ENDS.set(name, { targets: HEADINGS, boundary: SCOPE });
for (const name of ["table", "tbody", "thead", "tfoot", "tr", "td", "th", "caption", "colgroup"])
  ENDS.set(name, { targets: names(name), boundary: TABLE_SCOPE });
for (const name of ["html", "body", "head", "template", "script", "style", "title", "textarea", "iframe", "xmp", "noembed", "noframes"])
  ENDS.set(name, { targets: names(name), boundary: NOTHING });
ENDS.set("p", { targets: names("p"), boundary: BUTTON_SCOPE });
ENDS.set("li", { targets: names("li"), boundary: LIST_SCOPE });

/** An end tag closes the element at `index`; "later": it stays open until what stands inside it has ended (`<b><div></b></div>`). */
export interface EndOf {
  readonly index: number;
  readonly when: "now" | "later";
}

/** Which open element an end tag of that name ends; null: none. */
export function endedBy(name: string, open: readonly Named[], depth: number): EndOf | null {
  const rule = ENDS.get(name);
  if (rule !== undefined) {
    for (let i = depth - 1; i >= 0; i--) {
      const found = open[i]!.name;
      if (rule.targets.has(found)) return { index: i, when: "now" };
      if (rule.boundary.has(found)) return null;
    }
    return null;
  }
  let crossed = false;
  for (let i = depth - 1; i >= 0; i--) {
    const found = open[i]!.name;
    if (found === name) return { index: i, when: crossed ? "later" : "now" };
    if (SCOPE.has(found)) return null;
    if (SPECIAL.has(found)) {
      if (!FORMATTING.has(name)) return null;
      crossed = true;
    }
  }
  return null;
}
