/** What a variant changes, checked: headers and cookies that can stand on a wire, and nothing that excludes something else beside it. */
import type { VariantChanges } from "./experiment.ts";
import { describe, expectKnown, isRecord } from "./spec-check.ts";

const CHANGES = ["html", "headers", "originHeaders", "cookies", "path", "upstream", "redirect"] as const satisfies readonly (keyof VariantChanges)[];
const TOKEN = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 9110 section 5.5, without what a Latin-1 wire cannot carry. */
const FIELD_VALUE = /^(?:[!-~\x80-\xff](?:[\t -~\x80-\xff]*[!-~\x80-\xff])?)?$/;
/** cookie-octet of RFC 6265 section 4.1.1. */
const COOKIE_VALUE = /^[!#-+\--:<-[\]-~]*$/;
/** Framing and hop-by-hop fields are the gateway's (RFC 9110 section 7.6.1); Host and cookies have their own ways. */
const NOT_THESE = ["connection", "content-length", "host", "keep-alive", "set-cookie", "te", "trailer", "transfer-encoding", "upgrade"];

export function changesOf(given: unknown, where: string): VariantChanges {
  if (given === undefined) return Object.freeze({});
  if (!isRecord(given)) throw new TypeError(`${where}: an object of changes is expected, found ${describe(given)}`);
  for (const name of Object.keys(given)) expectKnown(name, CHANGES, where);
  const present = CHANGES.filter((name) => given[name] !== undefined);
  if (present.includes("redirect") && present.length > 1) {
    throw new TypeError(
      `${where}.redirect: nothing beside it is expected, for there is no page to change; found ${present.filter((name) => name !== "redirect").join(", ")}`,
    );
  }
  return Object.freeze(Object.fromEntries(present.map((name) => [name, changeOf(name, given[name], `${where}.${name}`)]))) as VariantChanges;
}

function changeOf(name: (typeof CHANGES)[number], given: unknown, where: string): unknown {
  switch (name) {
    case "html":
      return editsOf(given, where);
    case "headers":
    case "originHeaders":
      return headersOf(given, where);
    case "cookies":
      return cookiesOf(given, where);
    case "path":
      return matching(given, /^\/[!-~]*$/, "a path with its leading /, percent-encoded", where);
    case "upstream":
      return matching(given, /^.{1,256}$/, "the name of an upstream", where);
    case "redirect":
      // A scheme other than these in Location would run in the page's name.
      return matching(given, /^(?:https?:\/\/[!-~]+|\/(?![/\\])[!-~]*)$/, "an http(s) URL, or a path with its leading /", where);
  }
}

/** Edits are made by `html`, which has checked them; the gateway reads them as a stranger's all the same. */
function editsOf(given: unknown, where: string): readonly unknown[] {
  if (!Array.isArray(given)) throw new TypeError(`${where}: a list of edits made with html.… is expected, found ${describe(given)}`);
  for (const [i, edit] of (given as unknown[]).entries()) {
    if (!isRecord(edit) || typeof edit["kind"] !== "string")
      throw new TypeError(`${where}[${i}]: an edit made with html.… is expected, found ${describe(edit)}`);
  }
  return Object.freeze([...(given as unknown[])]);
}

function headersOf(given: unknown, where: string): Readonly<Record<string, string | null>> {
  return entriesOf(given, where, (name, value) => {
    const lower = name.toLowerCase();
    if (!TOKEN.test(name) || NOT_THESE.includes(lower)) throw new TypeError(`${where}: ${JSON.stringify(name)} is no header that a variant may change`);
    if (value === null) return [lower, null];
    return [lower, matching(value, FIELD_VALUE, "a header's value, or null to delete it", `${where}.${name}`)];
  });
}

function cookiesOf(given: unknown, where: string): Readonly<Record<string, string | null>> {
  return entriesOf(given, where, (name, value) => {
    // Our own cookies are signed: a variant that set one would sign its visitors out of every experiment.
    if (!TOKEN.test(name) || name.startsWith("sluice_")) throw new TypeError(`${where}: ${JSON.stringify(name)} is no cookie that a variant may set`);
    return [name, matching(value, COOKIE_VALUE, "a cookie's value, percent-encoded where it needs to be", `${where}.${name}`)];
  });
}

function entriesOf(
  given: unknown,
  where: string,
  entry: (name: string, value: unknown) => readonly [string, string | null],
): Readonly<Record<string, string | null>> {
  if (!isRecord(given)) throw new TypeError(`${where}: an object of names is expected, found ${describe(given)}`);
  return Object.freeze(Object.fromEntries(Object.entries(given).map(([name, value]) => entry(name, value))));
}

function matching(given: unknown, pattern: RegExp, expected: string, where: string): string {
  if (typeof given === "string" && pattern.test(given)) return given;
  throw new TypeError(`${where}: ${expected} is expected, found ${describe(given)}`);
}
