/** Where log lines leave the process: buffered, asynchronous, bounded; a reader of the log that is slow or gone never holds traffic. */
import { fstatSync } from "node:fs";
import pino from "pino";

export interface LogSink {
  /** One line with its newline. */
  write(line: string): void;
  /** Everything buffered is written before this returns. For the end of the process. */
  flushSync(): void;
  /** Lines lost since the start because the buffer was full or the reader gone. */
  readonly dropped: number;
}

/** Lines of several workers meet in one pipe; the kernel keeps writes up to this size whole (PIPE_BUF, pipe(7)). */
const PIPE_WRITE_BYTES = 4096;
const FILE_WRITE_BYTES = 64 * 1024;
const BUFFER_BYTES = 8 * 1024 * 1024;
const FLUSH_EVERY_MS = 100;

export function createLogSink(fd: number): LogSink {
  const maxWrite = isPipe(fd) ? PIPE_WRITE_BYTES : FILE_WRITE_BYTES;
  const stream = pino.destination({ dest: fd, sync: false, minLength: maxWrite / 2, maxWrite, maxLength: BUFFER_BYTES, periodicFlush: FLUSH_EVERY_MS });
  let dropped = 0;
  let gone = false;
  stream.on("drop", () => dropped++);
  // EPIPE and the like: the log's reader has left. Traffic goes on, unlogged; `dropped` says so in the metrics.
  stream.on("error", () => {
    gone = true;
  });
  return {
    write(line) {
      if (gone) dropped++;
      else stream.write(line);
    },
    flushSync() {
      if (gone) return;
      try {
        stream.flushSync();
      } catch {
        // Nobody reads any more, or the pipe is full at the very end: these lines are lost, the exit is not held up.
        gone = true;
      }
    },
    get dropped() {
      return dropped;
    },
  };
}

function isPipe(fd: number): boolean {
  const kind = fstatSync(fd);
  return kind.isFIFO() || kind.isSocket();
}
