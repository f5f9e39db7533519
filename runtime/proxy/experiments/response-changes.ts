/** What variants change of what is delivered: fields, cookies, the page; and what the gateway says of it to browsers and to caches in between. */
import type { StickyEntry } from "../../experiments/assign/plan.ts";
import { qaCookie, remember, stickyCookie, verifyQaToken, visitorCookie } from "../../experiments/assign/assign.ts";
import { type CompiledEdits, editable, editedFields, editHtml } from "../../experiments/edits/edits.ts";
import { bodyOf, NO_BODY } from "../exchange.ts";
import type { Fields } from "../fields.ts";
import type { GatewayResponse } from "../reply.ts";
import { isTargeted } from "../shared-caches.ts";
import type { ExchangeExperiments } from "./exchange-experiments.ts";
import type { ExperimentEntry, Page } from "./table.ts";

/** Behind cache and rules, so that nobody else gets it. A promise where a page is edited for all who come after. */
export function changeResponse(experiments: ExchangeExperiments, response: GatewayResponse, { isPage }: Page): GatewayResponse | Promise<GatewayResponse> {
  const { life, matched } = experiments;
  if (response.tunnel !== null || experiments.assignments === null) return response;
  const https = life.client.scheme === "https";
  let edits: CompiledEdits[] | null = null;
  let depends = false;
  for (let i = 0; i < matched.length; i++) {
    const entry = matched[i]!;
    const asked = experiments.isAskedFor(entry.data.key);
    if (!entry.acts && !asked) continue;
    const { head, origin, redirect, page } = entry.touches;
    if ((asked || head || origin || redirect || (page && isPage)) && differs(experiments, entry, i)) depends = true;
    const variant = experiments.variantOf(i);
    // The gateway's own error pages stay as they are.
    if (variant === null || response.error !== null || experiments.redirected !== null) continue;
    for (const [name, value] of variant.fields) {
      if (value === null) response.fields.delete(name);
      else response.fields.set(name, value);
    }
    for (const cookie of variant.cookies) response.fields.append("set-cookie", `${cookie}; Path=/; SameSite=Lax${https ? "; Secure" : ""}`);
    if (variant.edits !== null) (edits ??= []).push(variant.edits);
  }
  const setsCookies = setCookies(experiments, response.fields, https);
  if ((depends || setsCookies) && experiments.seat.parts.config.experiments.downstream === "private") makePrivate(response.fields, depends);
  if (edits === null) return unchanged(experiments, response);
  for (let i = 0; i < edits.length; i++) {
    const edited = editPage(experiments, response, edits, i);
    if (edited !== null) return edited;
  }
  return unchanged(experiments, response);
}

/** May somebody else who asks for the same be shown something else? Not where an experiment is stopped or shipped for all. */
function differs(experiments: ExchangeExperiments, { data, isForAll }: ExperimentEntry, index: number): boolean {
  switch (experiments.table.stateOf(data.key)) {
    case "running":
      return true;
    case "shipped":
      if (!isForAll) return true;
      break;
    case "stopped":
      break;
  }
  return experiments.assignments![index]!.reason === "forced";
}

/** One set of edits after the other; null: it went on streaming, and the next one may begin. */
function editPage(experiments: ExchangeExperiments, response: GatewayResponse, edits: readonly CompiledEdits[], at: number): Promise<GatewayResponse> | null {
  const found = editable(response.status, response.fields);
  if (!found.editable) return null;
  const { body } = response;
  const compiled = edits[at]!;
  editedFields(response.fields, compiled);
  response.declaredLength = -1;
  const { stored } = body;
  // A nonce is another one each time: nobody would ask for the page that was made with it.
  if (stored === undefined || found.nonce !== "") {
    response.body = editHtml(body, compiled, found);
    return null;
  }
  const rest = edits.slice(at + 1);
  const name = [compiled, ...rest].map(({ id }) => id).join("+");
  const key = `${name} ${found.coding} ${found.charset}`;
  for (const further of rest) editedFields(response.fields, further);
  const all = (): GatewayResponse["body"] => [compiled, ...rest].reduce((page, one) => editHtml(page, one, found), bodyOf(stored));
  const kept = experiments.seat.pages.get(stored, key, all);
  if (kept === null) {
    response.body = all();
    return Promise.resolve(unchanged(experiments, response));
  }
  const show = (page: Buffer): GatewayResponse => {
    response.body = bodyOf(page);
    response.declaredLength = page.length;
    return unchanged(experiments, response);
  };
  return kept instanceof Promise ? kept.then(show) : Promise.resolve(show(kept));
}

const WITHOUT_CONTENT: readonly string[] = ["content-type", "content-encoding", "content-language", "content-range", "accept-ranges"];

/** 304 for who has the very page already (RFC 9110 section 13.1.2). Not while it is looked at: then it has to flow, and to whom if not to the client? */
function unchanged(experiments: ExchangeExperiments, response: GatewayResponse): GatewayResponse {
  if (response.status !== 200 || experiments.isWatched || !isHeld(experiments, response.fields)) return response;
  response.body.cancel();
  response.body = NO_BODY;
  response.status = 304;
  response.declaredLength = -1;
  for (const name of WITHOUT_CONTENT) response.fields.delete(name);
  return response;
}

function isHeld({ ifNoneMatch, ifModifiedSince }: ExchangeExperiments, fields: Fields): boolean {
  if (ifNoneMatch !== null) {
    const opaque = fields.get("etag")?.replace(/^W\//, "");
    return opaque !== undefined && (ifNoneMatch === "*" || ifNoneMatch.split(",").some((one) => one.trim().replace(/^W\//, "") === opaque));
  }
  // An edited page has no date of its own.
  return ifModifiedSince !== null && Date.parse(fields.get("last-modified") ?? "") <= Date.parse(ifModifiedSince);
}

/** Were there any? */
function setCookies(experiments: ExchangeExperiments, fields: Fields, https: boolean): boolean {
  const { seat, qa, newVisitor } = experiments;
  const { keys } = seat;
  const { clock } = seat.parts;
  let any = false;
  if (newVisitor !== "") {
    fields.append("set-cookie", visitorCookie(newVisitor, keys, https));
    any = true;
  }
  let entries: readonly StickyEntry[] | null = null;
  for (const { stick } of experiments.assignments!) if (stick !== null) entries = remember(entries ?? experiments.sticky(), stick);
  if (entries !== null) {
    fields.append("set-cookie", stickyCookie(entries, keys, https));
    any = true;
  }
  if (qa === null) return any;
  const read = qa.token === "" ? null : verifyQaToken(qa.token, keys, clock.unixMs());
  if (read !== null && read.outcome !== "valid") return any;
  fields.append("set-cookie", qaCookie(qa.token, read === null ? null : read.forced, clock.unixMs(), https));
  return true;
}

/** Directives for shared caches alone; they would give one visitor's variant to the others (RFC 9111 section 5.2.2.7). */
const SHARED = /^(?:public|private|s-maxage|proxy-revalidate)(?:=|$)/i;
/** How long a browser may go on with what it has. */
const LASTING = /^(?:public|private|s-maxage|proxy-revalidate|no-cache|max-age|immutable|stale-while-revalidate|stale-if-error)(?:=|$)/i;

const NO_STORE = /(?:^|[\s,])no-store(?:[\s,]|$)/i;

/**
 * One pass. What depends on a variant is asked for again each time (`no-cache`; for who has it still, a 304): a browser that keeps it for the origin's
 * `max-age`, or as long as it thinks fit (RFC 9111 section 4.2.2), goes on showing a variant that was stopped, whatever the gateway does.
 */
function makePrivate({ list }: Fields, depends: boolean): void {
  let at = -1;
  let kept = 0;
  for (let i = 0; i < list.length; i += 2) {
    const name = list[i]!;
    if (isTargeted(name)) continue;
    if (name === "cache-control") {
      if (at >= 0) {
        list[at] = `${list[at]!}, ${list[i + 1]!}`;
        continue;
      }
      at = kept + 1;
    }
    list[kept] = name;
    list[kept + 1] = list[i + 1]!;
    kept += 2;
  }
  list.length = kept;
  if (at < 0) list.push("cache-control", depends ? "private, no-cache" : "private");
  else
    list[at] =
      depends && !NO_STORE.test(list[at]!)
        ? privateOf(list[at]!, "private, no-cache", LASTING, againTexts)
        : privateOf(list[at]!, "private", SHARED, keptTexts);
}

/** Origins say the same few things again and again. */
const againTexts = new Map<string, string>();
const keptTexts = new Map<string, string>();
const MAX_PRIVATES = 200;

function privateOf(said: string, first: string, without: RegExp, known: Map<string, string>): string {
  let told = known.get(said);
  if (told !== undefined) return told;
  const others = said
    .split(",")
    .map((directive) => directive.trim())
    .filter((directive) => directive !== "" && !without.test(directive));
  told = [first, ...others].join(", ");
  if (known.size >= MAX_PRIVATES) known.clear();
  known.set(said, told);
  return told;
}
