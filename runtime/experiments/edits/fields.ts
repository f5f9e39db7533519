/** What a response's header says about edits: may its body be edited, and what is no longer true once it was. */
import type { Fields } from "../../proxy/fields.ts";
import type { CompiledEdits } from "./compile.ts";

/** Content codings that are undone for the edits and made again. */
export type PageCoding = "identity" | "gzip" | "deflate" | "br" | "zstd";

export type Editable =
  | { readonly editable: true; readonly charset: string; readonly coding: PageCoding; readonly nonce: string }
  | { readonly editable: false; readonly because: "type" | "status" | "coding" };

const CODINGS: ReadonlyMap<string, PageCoding> = new Map([
  ["", "identity"],
  ["identity", "identity"],
  ["gzip", "gzip"],
  ["x-gzip", "gzip"],
  ["deflate", "deflate"],
  ["br", "br"],
  ["zstd", "zstd"],
]);
const HTML_TYPE = /^text\/html\s*(?:;|$)/i;
const CHARSET = /;\s*charset\s*=\s*(?:"([^"]{0,60})"|([^\s;"]{1,60}))/i;
/** Script sources come first: a nonce for styles alone is another one (Content Security Policy, section 6.7.2). */
const NONCE_DIRECTIVE = /(?:^|[;,])\s*(?:script-src-elem|script-src|default-src)\s[^;,]*?'nonce-([A-Za-z0-9+/_=-]{1,200})'/i;

/** The same as `editable`, for whoever only wants to know. */
export function isEditable(status: number, fields: Fields): boolean {
  const type = fields.get("content-type");
  return type !== undefined && HTML_TYPE.test(type) && isWhole(status) && CODINGS.has((fields.joined("content-encoding") ?? "").trim().toLowerCase());
}

function isWhole(status: number): boolean {
  return status >= 200 && status !== 204 && status !== 205 && status !== 206 && status !== 304;
}

/** May this answer's body be edited, and how is it to be read? A part of a page (206) is none. */
export function editable(status: number, fields: Fields): Editable {
  const type = fields.get("content-type") ?? "";
  if (!HTML_TYPE.test(type)) return { editable: false, because: "type" };
  if (!isWhole(status)) return { editable: false, because: "status" };
  const coding = CODINGS.get((fields.joined("content-encoding") ?? "").trim().toLowerCase());
  if (coding === undefined) return { editable: false, because: "coding" };
  const match = CHARSET.exec(type);
  const nonce = NONCE_DIRECTIVE.exec(fields.joined("content-security-policy") ?? "")?.[1] ?? "";
  return { editable: true, charset: match?.[1] ?? match?.[2] ?? "", coding, nonce };
}

/** Of the bytes as they were (RFC 9530, RFC 3230, RFC 1864). */
const DIGESTS: readonly string[] = ["content-md5", "digest", "content-digest", "repr-digest"];
/** Digests, and a validator that says nothing of the edits. */
const UNTRUE: readonly string[] = ["content-length", "last-modified", ...DIGESTS];

/**
 * Changes `fields` to what is true of the edited page. Its ETag becomes a weak one of this variant (RFC 9110 section 8.8.3: edits, and a nonce among them,
 * leave the meaning and not the bytes), so that nobody takes the origin's page for it, and none at all where rules decide in code; Last-Modified goes, because edits have no such date; ranges are
 * not served (section 14.3), because nobody could join parts of two variants.
 */
export function editedFields(fields: Fields, edits: CompiledEdits): void {
  for (const name of UNTRUE) fields.delete(name);
  fields.set("accept-ranges", "none");
  const tag = fields.get("etag");
  if (tag === undefined) return;
  const opaque = /^(?:W\/)?"([^"]*)"$/.exec(tag)?.[1];
  if (opaque === undefined || edits.asks) fields.delete("etag");
  else fields.set("etag", `W/"${opaque}-${edits.id}"`);
}

/** Trailers may tell digests of the bytes as they were (RFC 9530 section 2). */
export function withoutDigests(trailers: Fields | null): Fields | null {
  if (trailers === null) return null;
  const kept = trailers.clone();
  for (const name of DIGESTS) kept.delete(name);
  return kept;
}
