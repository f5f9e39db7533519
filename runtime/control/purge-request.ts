/** What `POST /v1/cache/purge` may ask: exactly one of url, prefix, tag and all; and soft. Pure. */
import { isTag, placeOfUrl, type PurgeOrder } from "../cache/cache.ts";

export interface PurgeRefusal {
  readonly found: string;
  readonly expected: string;
}

const KINDS = ["url", "prefix", "tag", "all"] as const;
const MEMBERS: ReadonlySet<string> = new Set([...KINDS, "soft"]);

export function readPurge(body: unknown): PurgeOrder | PurgeRefusal {
  const expected = 'exactly one of { "url": URL }, { "prefix": URL }, { "tag": TAG } and { "all": true }, and perhaps "soft": true';
  if (typeof body !== "object" || body === null || Array.isArray(body)) return { found: "no object", expected };
  const asked = body as Readonly<Record<string, unknown>>;
  const stray = Object.keys(asked).find((name) => !MEMBERS.has(name));
  if (stray !== undefined) return { found: JSON.stringify(stray.slice(0, 100)), expected };
  const kinds = KINDS.filter((kind) => asked[kind] !== undefined);
  const kind = kinds[0];
  if (kind === undefined || kinds.length > 1) return { found: kinds.length === 0 ? "none of them" : kinds.join(" and "), expected };
  const { soft = false, [kind]: value } = asked;
  if (typeof soft !== "boolean") return { found: "a soft that is no boolean", expected };
  if (kind === "all") return value === true ? { kind, value: "", soft } : { found: "an all that is not true", expected };
  if (typeof value !== "string") return { found: `a ${kind} that is no string`, expected };
  if (kind === "tag")
    return isTag(value) ? { kind, value, soft } : { found: shown(value), expected: "a tag: up to 256 visible ASCII characters without commas" };
  const place = placeOfUrl(value);
  return place === null ? { found: shown(value), expected: "a URL with a host, such as https://shop.example.com/products/" } : { kind, value: place, soft };
}

function shown(text: string): string {
  return JSON.stringify(text.length > 200 ? `${text.slice(0, 200)}…` : text);
}
