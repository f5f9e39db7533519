/** What variants change before the cache is asked: where the request goes, what the origin sees, and what the entry's key holds. */
import { Fields } from "../fields.ts";
import { NO_BODY } from "../exchange.ts";
import type { GatewayResponse } from "../reply.ts";
import type { ExchangeExperiments } from "./exchange-experiments.ts";

/** A redirect in place of the page, or null. */
export function changeRequest(experiments: ExchangeExperiments): GatewayResponse | null {
  const { life, matched } = experiments;
  experiments.reachedOrigin = true;
  experiments.targetBefore = life.request.target;
  experiments.upstreamBefore = life.upstream;
  let editsPage = false;
  for (let i = 0; i < matched.length; i++) {
    const entry = matched[i]!;
    if (!entry.acts) continue;
    const variant = experiments.variantOf(i);
    if (variant === null) continue;
    const { redirect, path, upstream } = variant.changes;
    if (redirect !== undefined) {
      const location = locationOf(redirect, life.request.target);
      // Already there: sent once more it would never arrive.
      if (location !== null && location !== `${life.request.scheme}://${life.request.authority}${life.request.target}`) {
        experiments.redirected = entry;
        return redirectTo(location);
      }
    }
    if (path !== undefined) {
      life.request.target = path + queryOf(life.request.target);
      life.route = -1;
    }
    if (upstream !== undefined) {
      life.upstream = upstream;
      life.pinnedTarget = "";
    }
    for (const [name, value] of variant.originFields) {
      if (value === null) life.request.fields.delete(name);
      else life.request.fields.set(name, value);
    }
    if (variant.isKeyed) life.cacheWords.experiment(entry.data.key, variant.key);
    editsPage ||= variant.edits !== null;
  }
  const { keyedExperiments } = life.plan;
  if (keyedExperiments !== null) {
    const keys = keyedExperiments[0] === "*" ? experiments.table.entries.map(({ data }) => data.key) : keyedExperiments;
    for (const key of keys) experiments.keyedBy(key);
  }
  const { fields } = life.request;
  if (isConditional(fields) && (editsPage || looksAtPage(experiments)) && wantsPage(life.request.method, fields)) takeConditions(experiments);
  return null;
}

/** Most requests are not: one pass shows it. */
function isConditional({ list }: Fields): boolean {
  for (let i = 0; i < list.length; i += 2) if (CONDITIONS.has(list[i]!)) return true;
  return false;
}
const CONDITIONS: ReadonlySet<string> = new Set(["if-none-match", "if-modified-since", "range", "if-range"]);

/** Whether a visitor of control is counted hangs on what stands on the page: of a 304, or of a part, nobody knows. */
function looksAtPage(experiments: ExchangeExperiments): boolean {
  if (!experiments.isCounted) return false;
  for (let i = 0; i < experiments.matched.length; i++) if (experiments.mayBeUnseen(i) && !experiments.isTold(i)) return true;
  return false;
}

/**
 * The validator that a browser has is the edited page's: neither cache nor origin can judge it, nor cut a part out of a page that is edited
 * afterwards. What they give is compared once it is edited, or looked at.
 */
function takeConditions(experiments: ExchangeExperiments): void {
  const { fields } = experiments.life.request;
  experiments.ifNoneMatch = fields.joined("if-none-match") ?? null;
  experiments.ifModifiedSince = fields.get("if-modified-since") ?? null;
  for (const name of CONDITIONS) fields.delete(name);
}

/** Would an HTML page do? Images and scripts keep their 304s. Browsers say what they want it for (Fetch Metadata); others say what they take. */
export function wantsPage(method: string, fields: Fields): boolean {
  if (method !== "GET" && method !== "HEAD") return false;
  const destination = fields.get("sec-fetch-dest");
  if (destination !== undefined) return /^(?:document|iframe|frame|fencedframe|empty)$/.test(destination);
  const accept = fields.joined("accept");
  return accept === undefined || accept.includes("text/html") || accept.includes("*/*");
}

function queryOf(target: string): string {
  const mark = target.indexOf("?");
  return mark < 0 ? "" : target.slice(mark);
}

/** With the query of the request, unless the redirect has its own. null: it leads to where the request is. */
function locationOf(redirect: string, target: string): string | null {
  const location = redirect.includes("?") ? redirect : `${redirect}${queryOf(target)}`;
  return location === target ? null : location;
}

function redirectTo(location: string): GatewayResponse {
  const fields = new Fields(["location", location, "cache-control", "private, no-store"]);
  return { status: 302, fields, body: NO_BODY, declaredLength: 0, from: "gateway", error: null, tunnel: null };
}
