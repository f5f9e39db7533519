/** What stands in a request for the gateway's experiments, and cookies that are not the gateway's own. */
import { QA_COOKIE } from "../../experiments/assign/assign.ts";
import type { Fields } from "../fields.ts";

export interface QaLink {
  /** As it stood in the link, genuine or not; "": the tester wants no variant forced any more. */
  readonly token: string;
}

const PARAMETER = `${QA_COOKIE}=`;

/** Takes the parameter of a QA link out, whoever wrote it: no rule, no cache key and no origin sees it. null: there is none. */
export function takeQaLink(target: string): { readonly target: string; readonly link: QaLink } | null {
  if (!target.includes(PARAMETER)) return null;
  const mark = target.indexOf("?");
  if (mark < 0) return null;
  let token: string | null = null;
  const others: string[] = [];
  for (const pair of target.slice(mark + 1).split("&")) {
    if (pair.startsWith(PARAMETER)) token ??= pair.slice(PARAMETER.length);
    else others.push(pair);
  }
  if (token === null) return null;
  return { target: others.length === 0 ? target.slice(0, mark) : `${target.slice(0, mark)}?${others.join("&")}`, link: { token } };
}

/** The page that a tester comes from may have been called by the link. */
export function cleanReferer(fields: Fields): void {
  const referer = fields.get("referer");
  const taken = referer === undefined ? null : takeQaLink(referer);
  if (taken !== null) fields.set("referer", taken.target);
}

/** The first cookie of that name (RFC 6265 section 5.4), as it is spelled; null: there is none. */
export function cookieIn(fields: Fields, name: string): string | null {
  const { list } = fields;
  for (let i = 0; i < list.length; i += 2) {
    if (list[i] !== "cookie") continue;
    for (const pair of list[i + 1]!.split(";")) {
      const equals = pair.indexOf("=");
      if (equals >= 0 && pair.slice(0, equals).trim() === name) return pair.slice(equals + 1).trim();
    }
  }
  return null;
}
