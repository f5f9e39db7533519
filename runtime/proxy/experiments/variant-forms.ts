/**
 * What variants may have made of a URL before the cache was asked for it: which path, which upstream, which words of the key. Who changes something behind a
 * URL has changed it for the visitors of all variants.
 */
import type { Life } from "../life.ts";
import type { Matchable } from "../match/match.ts";
import { readsOfMatch } from "../match/reads.ts";
import type { ExperimentEntry, VariantTable } from "./table.ts";

export interface VariantForm {
  readonly target: string;
  /** "": that of its route. */
  readonly upstream: string;
  /** Experiment and variant. */
  readonly told: readonly (readonly [experiment: string, variant: string])[];
}

/** Two experiments of three variants, that rules ask for besides, are 49. */
const MOST_FORMS = 100;

/** Of a GET of `target`, by whomever; the first one is what no variant changes. Null: too many. */
export function variantForms(life: Life, target: string, upstream: string): readonly VariantForm[] | null {
  const { table } = life;
  const plan = table.plan(table.match(getOf(life, target)));
  const asked = new Set([...(plan.asksExperiments ?? []), ...(plan.keyedExperiments ?? [])]);
  let forms: readonly VariantForm[] = [{ target, upstream, told: [] }];
  for (const entry of table.experiments!.entries) {
    const isAsked = asked.has("*") || asked.has(entry.data.key);
    // What others' cookies and headers say about `when`, nobody knows here.
    const isShown = entry.touches.origin && (plan.experiments.includes(entry) || readsOfMatch(entry.data.when).length > 0);
    if (!isAsked && !isShown) continue;
    forms = forms.flatMap((form) => [form, ...entry.variants.flatMap((variant) => shownBy(form, entry, variant, isAsked))]);
    if (forms.length > MOST_FORMS) return null;
  }
  return forms;
}

function shownBy(form: VariantForm, { data }: ExperimentEntry, variant: VariantTable, isAsked: boolean): readonly VariantForm[] {
  const { path, upstream = form.upstream } = variant.changes;
  const target = path === undefined ? form.target : path + queryOf(form.target);
  const told = [...form.told, [data.key, variant.key] as const];
  const shown = { target, upstream, told: variant.isKeyed ? told : form.told };
  if (isAsked) return variant.isKeyed ? [shown] : [shown, { ...shown, told }];
  return variant.isKeyed || path !== undefined || variant.changes.upstream !== undefined ? [shown] : [];
}

/** A GET of it by the same client. */
export function getOf(life: Life, target: string): Matchable {
  const { host, fields } = life.matchable();
  return { method: "GET", host, path: pathOf(target), query: queryOf(target).slice(1), fields, country: life.country };
}

function pathOf(target: string): string {
  return target.slice(0, target.length - queryOf(target).length);
}
function queryOf(target: string): string {
  const mark = target.indexOf("?");
  return mark < 0 ? "" : target.slice(mark);
}
