/**
 * `ctx.auth.hmac`: HTTP Message Signatures (RFC 9421) with `hmac-sha256`. The signature must cover method, path and query
 * (`@method`, `@path`, `@query`, or `@target-uri`/`@request-target` in their place) and the headers that the rule names. When it covers
 * Content-Digest (RFC 9530), the body is held against it.
 */
import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { z } from "zod";
import type { Fields } from "../../proxy/fields.ts";

export const HmacCall = z.strictObject({
  secret: z.string().min(1),
  headers: z.array(z.string()).max(32).default([]),
  maxAge: z.number().positive().default(300),
});
export type HmacCall = z.infer<typeof HmacCall>;

export type HmacResult = { readonly identity: { readonly keyId: string; readonly signedAt: number } } | { readonly reason: HmacReason };
export type HmacReason = "missing" | "malformed" | "algorithm" | "signature" | "expired" | "not-yet-valid" | "denied" | "replayed";

/** The request that was signed: as the client sent it. */
export interface SignedRequest {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly scheme: string;
  readonly fields: Fields;
}

interface SignatureInput {
  readonly label: string;
  readonly components: readonly string[];
  readonly parameters: Readonly<Record<string, string | number>>;
  /** As it stands in the field: the last line of the signature base. */
  readonly text: string;
}

const INPUT = /^([a-z*][a-z0-9_.*-]*)=(\(((?:"[^"\\]{1,128}"(?: +(?="))?){0,64})\)((?:;[a-z][a-z0-9_-]*=(?:"[^"\\]{0,256}"|\d{1,15}))*))$/;
const PARAMETER = /;([a-z][a-z0-9_-]*)=(?:"([^"]*)"|(\d+))/g;
const MAX_INPUT_LENGTH = 4096;
/** A signer's clock may run ahead by this much. */
const CLOCK_TOLERANCE_S = 5;

export async function verifyHmac(call: HmacCall, request: SignedRequest, readBody: () => Promise<Buffer>, unixMs: number): Promise<HmacResult> {
  const inputText = request.fields.joined("signature-input");
  const signatureText = request.fields.joined("signature");
  if (inputText === undefined || signatureText === undefined) return { reason: "missing" };
  const input = parseInput(inputText);
  const signature = input === null ? null : parseSignature(signatureText, input.label);
  if (input === null || signature === null) return { reason: "malformed" };
  if (input.parameters["alg"] !== undefined && input.parameters["alg"] !== "hmac-sha256") return { reason: "algorithm" };
  if (!coversEnough(input.components, call.headers)) return { reason: "denied" };

  const base = signatureBase(input, request);
  if (base === null) return { reason: "malformed" };
  const expected = createHmac("sha256", call.secret).update(base, "latin1").digest();
  if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) return { reason: "signature" };

  const nowS = unixMs / 1000;
  const { created, expires, keyid } = input.parameters;
  if (typeof created !== "number") return { reason: "malformed" };
  if (created > nowS + CLOCK_TOLERANCE_S) return { reason: "not-yet-valid" };
  if (typeof expires === "number" && expires < nowS) return { reason: "expired" };
  if (nowS - created > call.maxAge) return { reason: "replayed" };
  if (input.components.includes("content-digest") && !digestHolds(request.fields.joined("content-digest") ?? "", await readBody()))
    return { reason: "signature" };
  return { identity: { keyId: typeof keyid === "string" ? keyid : "", signedAt: created } };
}

/** One signature per request: with several, a reader could choose which to believe. */
function parseInput(text: string): SignatureInput | null {
  if (text.length > MAX_INPUT_LENGTH) return null;
  const match = INPUT.exec(text.trim());
  if (!match) return null;
  const [, label, rest, list, parameterText] = match;
  const components = list!
    .split(/ +/)
    .filter((item) => item !== "")
    .map((item) => item.slice(1, -1));
  if (new Set(components).size !== components.length) return null;
  const parameters: Record<string, string | number> = {};
  for (const [, name, string, number] of parameterText!.matchAll(PARAMETER)) {
    if (name === undefined || Object.hasOwn(parameters, name)) return null;
    parameters[name] = string ?? Number(number);
  }
  return { label: label!, components, parameters, text: rest! };
}

function parseSignature(text: string, label: string): Buffer | null {
  const match = /^([a-z*][a-z0-9_.*-]*)=:([A-Za-z0-9+/]+={0,2}):$/.exec(text.trim());
  return match && match[1] === label ? Buffer.from(match[2]!, "base64") : null;
}

function coversEnough(components: readonly string[], headers: readonly string[]): boolean {
  const covered = new Set(components);
  const line = covered.has("@target-uri") || covered.has("@request-target") || (covered.has("@path") && covered.has("@query"));
  return covered.has("@method") && line && headers.every((name) => covered.has(name.toLowerCase()));
}

/** RFC 9421 section 2.5. Null when a covered component is not there or not known. */
function signatureBase(input: SignatureInput, request: SignedRequest): string | null {
  let base = "";
  for (const name of input.components) {
    const value = name.startsWith("@") ? derived(name, request) : fieldValue(name, request.fields);
    if (value === null) return null;
    base += `"${name}": ${value}\n`;
  }
  return `${base}"@signature-params": ${input.text}`;
}

function derived(name: string, request: SignedRequest): string | null {
  const mark = request.target.indexOf("?");
  switch (name) {
    case "@method":
      return request.method;
    case "@authority":
      return request.authority;
    case "@scheme":
      return request.scheme;
    case "@path":
      return mark < 0 ? request.target : request.target.slice(0, mark);
    case "@query":
      return mark < 0 ? "?" : request.target.slice(mark);
    case "@request-target":
      return request.target;
    case "@target-uri":
      return `${request.scheme}://${request.authority}${request.target}`;
    default:
      return null;
  }
}

function fieldValue(name: string, fields: Fields): string | null {
  const values = fields.getAll(name);
  return values.length === 0 ? null : values.map((value) => value.trim()).join(", ");
}

/** RFC 9530: at least one digest of a strong algorithm, and every one of them right. */
function digestHolds(text: string, body: Buffer): boolean {
  const found = [...text.matchAll(/(?:^|,)\s*(sha-256|sha-512)=:([A-Za-z0-9+/]+={0,2}):\s*(?=,|$)/g)];
  return found.length > 0 && found.every(([, name, digest]) => createHash(name!.replace("-", "")).update(body).digest("base64") === digest);
}
