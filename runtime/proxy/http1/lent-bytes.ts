/**
 * Pieces of bodies on their way from a read buffer, which is used again at once, to a socket, which may keep what it is given. Each is
 * copied; the copies' buffers serve again once they are written. Made anew for each piece they set off one full collection of garbage
 * after the other, because V8 counts what stands outside its heap: 45 % of the CPU of bodies of 1 MiB.
 */
import type net from "node:net";

const BUFFER_BYTES = 65_536;
/** Smaller pieces have a copy of their own size: thousands of slow readers must not hold a whole buffer each for a few bytes. */
const SMALLEST_BYTES = BUFFER_BYTES / 2;
/** 8 MiB. */
const KEPT_BUFFERS = 128;
const free: Buffer[] = [];

/** As `socket.write`, for bytes that are the caller's again as soon as it returns. */
export function writeLent(socket: net.Socket, bytes: Buffer): boolean {
  const { length } = bytes;
  if (length < SMALLEST_BYTES || length > BUFFER_BYTES) return socket.write(Buffer.from(bytes));
  const buffer = free.pop() ?? Buffer.allocUnsafeSlow(BUFFER_BYTES);
  bytes.copy(buffer);
  return socket.write(length === BUFFER_BYTES ? buffer : buffer.subarray(0, length), () => {
    if (free.length < KEPT_BUFFERS) free.push(buffer);
  });
}
