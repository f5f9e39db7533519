/** Tags by which answers are purged together: of the origin (`Cache-Tag`, `Surrogate-Key`) and of rules. */
import type { Fields } from "../proxy/fields.ts";

const MAX_TAGS = 200;
const MAX_TAG_UNITS = 256;
const TAG = /^[\x21-\x2b\x2d-\x7e]+$/;

/** Visible ASCII without commas. */
export function isTag(text: string): boolean {
  return text.length <= MAX_TAG_UNITS && TAG.test(text);
}

/** `Cache-Tag` is a list with commas, `Surrogate-Key` one with spaces; what is no tag is left out. */
export function tagsOf(fields: Fields, ofRules: readonly string[]): readonly string[] {
  const cacheTag = fields.joined("cache-tag");
  const surrogateKey = fields.joined("surrogate-key");
  if (cacheTag === undefined && surrogateKey === undefined && ofRules.length === 0) return NO_TAGS;
  const words = [...(cacheTag ?? "").split(","), ...(surrogateKey ?? "").split(/[\s,]+/), ...ofRules];
  const tags = new Set<string>();
  for (const word of words) {
    const tag = word.trim();
    if (tags.size < MAX_TAGS && isTag(tag)) tags.add(tag);
  }
  return [...tags];
}

const NO_TAGS: readonly string[] = [];
