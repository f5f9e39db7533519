/** Which exchanges are in a share: drawn from their id, so that it is the same wherever the id is seen, and takes no randomness. Pure. */

/** 0 to 2³² − 1. FNV-1a; other purposes prefix the text, so that their shares do not coincide. */
export function draw(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  // FNV's upper bits hardly move for ids that differ at the end only; the finalizer of MurmurHash3 spreads them.
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return (value ^ (value >>> 16)) >>> 0;
}

export const DRAWS: number = 2 ** 32;
