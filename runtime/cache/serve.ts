/** What a client gets of a stored answer: all of it, a part, or the word that it holds it already. */
import { randomBytes } from "node:crypto";
import { type BodySource, bodyOf, NO_BODY, storedBody } from "../proxy/exchange.ts";
import type { Fields } from "../proxy/fields.ts";
import type { Entry, EntryHead } from "./entry.ts";
import type { Fill } from "./fill.ts";
import {
  ageSeconds,
  cacheStatus,
  contentRange,
  multipartLayout,
  notModifiedFields,
  notModifiedFor,
  rangeFor,
  type CacheStatus,
  type Freshness,
  type RequestTerms,
} from "./policy/policy.ts";

/** As in `proxy/reply.ts`, without what only the proxy knows. */
export interface Served {
  readonly status: number;
  readonly fields: Fields;
  readonly body: BodySource;
  /** What a GET would have had. */
  readonly declaredLength: number;
}

/** Its fields are the caller's to change. */
export function serveEntry(entry: Entry, terms: RequestTerms, request: Fields, nowMs: number, status: CacheStatus | null): Served {
  const { head, body, freshness } = entry;
  if (terms.conditional || terms.range) {
    const special = specialOf(head, freshness, body.length, terms, request, nowMs, status, (first, end) => bodyOf(body.subarray(first, end)));
    if (special !== null) return special;
  }
  const second = Math.floor(nowMs / 1000);
  // A status of null is the plain hit's, which is the same for a whole second: made once, copied per client.
  if (status === null) {
    if (entry.servedSecond !== second || entry.served === null) {
      entry.servedSecond = second;
      entry.served = withAge(head.fields.clone(), freshness, nowMs, hitStatus(freshness, nowMs));
    }
    return { status: head.status, fields: entry.served.clone(), body: wholeBody(terms, body), declaredLength: body.length };
  }
  return { status: head.status, fields: withAge(head.fields.clone(), freshness, nowMs, status), body: wholeBody(terms, body), declaredLength: body.length };
}

function wholeBody(terms: RequestTerms, body: Buffer): BodySource {
  return terms.kind === "head" || body.length === 0 ? NO_BODY : storedBody(body);
}

/** From a fill that still flows; null when its beginning is gone. */
export function serveFill(head: EntryHead, fill: Fill, terms: RequestTerms, request: Fields, nowMs: number, status: CacheStatus): Served | null {
  if ((terms.conditional || terms.range) && fill.length >= 0) {
    let lost = false;
    const special = specialOf(head, head.freshness, fill.length, terms, request, nowMs, status, (first, end) => {
      const part = fill.attach(first, end);
      lost ||= part === null;
      return part ?? NO_BODY;
    });
    if (lost) return null;
    if (special !== null) return special;
  }
  const body = terms.kind === "head" ? NO_BODY : fill.attach();
  if (body === null) return null;
  return { status: head.status, fields: withAge(head.fields.clone(), head.freshness, nowMs, status), body, declaredLength: fill.length };
}

/** 304, 206 or 416; null when it is the plain answer after all. */
function specialOf(
  head: EntryHead,
  freshness: Freshness,
  lengthBytes: number,
  terms: RequestTerms,
  request: Fields,
  nowMs: number,
  status: CacheStatus | null,
  cut: (first: number, end: number) => BodySource,
): Served | null {
  const said = status ?? hitStatus(freshness, nowMs);
  // RFC 9110 section 13.2.1: conditions are judged where the answer would have been a 2xx.
  if (terms.conditional && head.status >= 200 && head.status < 300 && notModifiedFor(request, head.fields, freshness))
    return { status: 304, fields: withAge(notModifiedFields(head.fields), freshness, nowMs, said), body: NO_BODY, declaredLength: -1 };
  if (!terms.range || terms.kind !== "get" || head.status !== 200) return null;
  const answer = rangeFor(request, head.fields, lengthBytes);
  if (answer.kind === "whole") return null;
  const fields = withAge(head.fields.clone(), freshness, nowMs, said);
  if (answer.kind === "unsatisfiable") {
    fields.set("content-range", contentRange(null, lengthBytes));
    return { status: 416, fields, body: NO_BODY, declaredLength: 0 };
  }
  const { parts } = answer;
  if (parts.length === 1) {
    const part = parts[0]!;
    fields.set("content-range", contentRange(part, lengthBytes));
    const body = cut(part.first, part.last + 1);
    return { status: 206, fields, body, declaredLength: part.last + 1 - part.first };
  }
  const layout = multipartLayout(parts, fields.get("content-type") ?? "", lengthBytes, randomBytes(12).toString("hex"));
  fields.set("content-type", layout.contentType);
  const pieces = parts.flatMap((part, i) => [bodyOf(Buffer.from(layout.heads[i]!, "latin1")), cut(part.first, part.last + 1)]);
  return { status: 206, fields, body: inTurn([...pieces, bodyOf(Buffer.from(layout.tail, "latin1"))], layout.lengthBytes), declaredLength: layout.lengthBytes };
}

/** Several bodies as one. */
function inTurn(sources: readonly BodySource[], length: number): BodySource {
  let at = 0;
  let cancelled = false;
  return {
    length,
    read(sink) {
      const next = (): void => {
        if (cancelled) return;
        const source = sources[at];
        if (source === undefined) sink.end(null);
        else
          source.read({
            chunk: (bytes) => sink.chunk(bytes),
            end: () => {
              at++;
              next();
            },
            error: (error) => sink.error(error),
          });
      };
      next();
    },
    pause: () => sources[at]?.pause(),
    resume: () => sources[at]?.resume(),
    cancel() {
      cancelled = true;
      for (const source of sources.slice(at)) source.cancel();
    },
  };
}

function hitStatus(freshness: Freshness, nowMs: number): CacheStatus {
  return { hit: true, fwd: null, fwdStatus: 0, ttlMs: freshness.freshUntilMs - nowMs, stored: false, collapsed: false, detail: "" };
}

function withAge(fields: Fields, freshness: Freshness, nowMs: number, status: CacheStatus): Fields {
  fields.set("age", String(ageSeconds(freshness, nowMs)));
  addCacheStatus(fields, status);
  return fields;
}

/** Ours is the last member: nearest to the client (RFC 9211 section 2). */
export function addCacheStatus(fields: Fields, status: CacheStatus): void {
  const before = fields.joined("cache-status");
  const own = cacheStatus(status);
  fields.set("cache-status", before === undefined ? own : `${before}, ${own}`);
}
