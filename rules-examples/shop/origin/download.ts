/** A large file that nobody stores: the same bytes each time, made while they are sent, with a known checksum. */
import { createHash } from "node:crypto";
import { Readable } from "node:stream";

export const DOWNLOAD_BYTES = 200 * 1024 * 1024;
export const DOWNLOAD_LIMIT_BYTES = 2 * 1024 * 1024 * 1024;
const BLOCK_BYTES = 64 * 1024;

/** Block number n: 64 KiB that no other block shares, so that a swapped or repeated one changes the checksum. */
const pattern = Buffer.alloc(BLOCK_BYTES);
for (let i = 0; i < BLOCK_BYTES; i++) pattern[i] = (i * 31 + (i >> 8) * 17) & 0xff;

function* blocks(sizeBytes: number): Generator<Buffer> {
  for (let sent = 0; sent < sizeBytes; sent += BLOCK_BYTES) {
    const block = Buffer.from(pattern.subarray(0, Math.min(BLOCK_BYTES, sizeBytes - sent)));
    if (block.length >= 4) block.writeUInt32LE(sent / BLOCK_BYTES, 0);
    yield block;
  }
}

export function downloadStream(sizeBytes: number): Readable {
  return Readable.from(blocks(sizeBytes), { objectMode: false, highWaterMark: 4 * BLOCK_BYTES });
}

const checksums = new Map<number, string>();

/** SHA-256 in hex. Takes about a second for 200 MiB, once. */
export function downloadChecksum(sizeBytes: number): string {
  const known = checksums.get(sizeBytes);
  if (known) return known;
  const hash = createHash("sha256");
  for (const block of blocks(sizeBytes)) hash.update(block);
  const checksum = hash.digest("hex");
  if (checksums.size < 100) checksums.set(sizeBytes, checksum);
  return checksum;
}
