/**
 * A string of its own. What is cut out of a request's head or a frame is, to V8, a view that keeps all of it: kept for long, twenty characters
 * hold 32 KiB of a stranger's.
 */
export function owned(text: string): string {
  const encoding = BEYOND_LATIN1.test(text) ? "utf16le" : "latin1";
  return Buffer.from(text, encoding).toString(encoding);
}

const BEYOND_LATIN1 = /[^\x00-\xff]/;
