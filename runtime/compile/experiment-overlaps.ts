/** Experiments that touch the same elements of the same pages: each would see what the other did, and neither report could be believed. Told as warnings. */
import type { HtmlEdit } from "../../sdk/html.ts";
import { type Compound, readSelector, type SelectorStep } from "../experiments/edits/edits.ts";
import type { ExperimentData } from "../experiments/experiment-data.ts";
import { parsePathPattern } from "../proxy/match/path-pattern.ts";
import type { MatchSpec, OneOrMany } from "../proxy/match/match.ts";
import type { DefinitionPath } from "./definition-places.ts";

export interface Overlap {
  /** Whose edit it is, and where; `other` is what it meets. */
  readonly path: DefinitionPath;
  readonly text: string;
}

interface Edit {
  readonly path: DefinitionPath;
  readonly selector: string;
  readonly chains: readonly (readonly SelectorStep[])[];
  /** What stands inside goes with it. */
  readonly drops: boolean;
}

/** Edits of `later` that meet edits of `earlier`; one for each of its selectors. */
export function overlapsOf(later: ExperimentData, earlier: ExperimentData): Overlap[] {
  // A unit is in one experiment of a layer at most.
  if (later.layer !== null && later.layer.name === earlier.layer?.name) return [];
  if (!meetSomewhere(later, earlier)) return [];
  const others = editsOf(earlier);
  const told = new Set<string>();
  return editsOf(later).flatMap((edit): Overlap[] => {
    if (told.has(edit.selector)) return [];
    const met = others.find((other) => editsMeet(edit, other));
    if (met === undefined) return [];
    told.add(edit.selector);
    const where = met.selector === edit.selector ? "the same elements" : `elements that ${JSON.stringify(met.selector)} selects there`;
    return [
      {
        path: edit.path,
        text:
          `experiment "${later.key}" edits ${JSON.stringify(edit.selector)}, and experiment "${earlier.key}" edits ${where} on the same pages: ` +
          "a visitor in both sees a mixture, and counts for both. Put them into one layer, or let them match different pages",
      },
    ];
  });
}

function editsOf({ variants }: ExperimentData): Edit[] {
  return variants.flatMap(({ key, changes }) =>
    (changes.html ?? []).flatMap((edit: HtmlEdit, i): Edit[] => {
      if (!("selector" in edit)) return [];
      const { chains } = readSelector(edit.selector);
      const drops = edit.kind === "setContent" || edit.kind === "replace" || edit.kind === "remove";
      return chains === null ? [] : [{ path: ["apply", key, "html", i, 0], selector: edit.selector, chains, drops }];
    }),
  );
}

function editsMeet(one: Edit, other: Edit): boolean {
  return one.chains.some((a) => other.chains.some((b) => sameElement(a, b) || (one.drops && isInside(b, a)) || (other.drops && isInside(a, b))));
}

/** As far as the last step tells: are the elements of one among those of the other? */
function sameElement(a: readonly SelectorStep[], b: readonly SelectorStep[]): boolean {
  const [last, lastOther] = [a.at(-1)!.compound, b.at(-1)!.compound];
  return implies(last, lastOther) || implies(lastOther, last);
}

/** Does an ancestor that `inner` names fit what `outer` selects? */
function isInside(inner: readonly SelectorStep[], outer: readonly SelectorStep[]): boolean {
  const selected = outer.at(-1)!.compound;
  return inner.slice(0, -1).some(({ compound }) => implies(compound, selected));
}

/** Is every element that is `one` also `other`? What is said of `other` is said of `one`, too. */
function implies(one: Compound, other: Compound): boolean {
  const has = (list: readonly unknown[], item: unknown): boolean => list.some((each) => JSON.stringify(each) === JSON.stringify(item));
  return (
    (other.tag === "" || other.tag === one.tag) &&
    other.attributes.every((test) => has(one.attributes, test)) &&
    other.nth.every((test) => has(one.nth, test)) &&
    other.not.every((excluded) => has(one.not, excluded))
  );
}

// Pages that both are for.

function meetSomewhere(a: ExperimentData, b: ExperimentData): boolean {
  if (a.devices.length > 0 && b.devices.length > 0 && !a.devices.some((device) => b.devices.includes(device))) return false;
  const specs = (data: ExperimentData): readonly MatchSpec[] => (data.when.length === 0 ? [{}] : data.when);
  return specs(a).some((one) => specs(b).some((other) => mayBothHold(one, other)));
}

/** False only when no request can fit both. */
function mayBothHold(a: MatchSpec, b: MatchSpec): boolean {
  return (
    anyPair(a.host, b.host, hostsMeet) &&
    anyPair(a.path, b.path, pathsMeet) &&
    anyPair(a.method, b.method, (one, other) => one === other) &&
    anyPair(a.country, b.country, (one, other) => one === other) &&
    conditionsMeet(a.header, b.header) &&
    conditionsMeet(a.cookie, b.cookie) &&
    conditionsMeet(a.query, b.query)
  );
}

function anyPair(a: OneOrMany | undefined, b: OneOrMany | undefined, meet: (one: string, other: string) => boolean): boolean {
  if (a === undefined || b === undefined) return true;
  return [a].flat().some((one) => [b].flat().some((other) => meet(one, other)));
}

function hostsMeet(a: string, b: string): boolean {
  const [one, other] = [a.toLowerCase(), b.toLowerCase()];
  if (one === other) return true;
  const under = (host: string, wild: string): boolean => wild.startsWith("*.") && host.replace(/^\*/, "").endsWith(wild.slice(1));
  return under(one, other) || under(other, one);
}

function pathsMeet(a: string, b: string): boolean {
  const [one, other] = [literalOf(a), literalOf(b)];
  if (one.whole && other.whole) return one.text === other.text;
  if (one.whole) return new URLPattern({ pathname: b }).test({ pathname: one.text });
  if (other.whole) return new URLPattern({ pathname: a }).test({ pathname: other.text });
  return one.text.startsWith(other.text) || other.text.startsWith(one.text);
}

/** What every path that fits begins with, and whether that is all of it. */
function literalOf(pattern: string): { readonly text: string; readonly whole: boolean } {
  const plan = parsePathPattern(pattern);
  if (plan.kind === "everything") return { text: "", whole: false };
  if (plan.kind !== "segments") return { text: plan.prefix, whole: false };
  if (plan.alternatives.length > 1) return { text: "/", whole: false };
  let text = "";
  for (const segment of plan.alternatives[0]!) {
    if (segment.kind !== "literal") return { text: `${text}/${segment.kind === "rest" ? segment.text : ""}`, whole: false };
    text += `/${segment.text}`;
  }
  return { text, whole: true };
}

function conditionsMeet(a: MatchSpec["header"], b: MatchSpec["header"]): boolean {
  return Object.entries(a ?? {}).every(([name, one]) => {
    const other = b?.[name];
    if (other === undefined) return true;
    if (typeof one === "boolean" || typeof other === "boolean") return (one !== false) === (other !== false);
    const fits = (value: string, pattern: string): boolean =>
      pattern.endsWith("*") ? value.replace(/\*$/, "").startsWith(pattern.slice(0, -1)) : value === pattern;
    return anyPair(one, other, (value, pattern) => fits(value, pattern) || fits(pattern, value));
  });
}
