/**
 * The sandbox process: runs the rules of one worker, which starts it with the permission model on, no environment and
 * descriptor 3 as its only line out. Whatever goes wrong in here beyond a rule's own doing ends the process (exit code 70,
 * a line on stderr); the worker has a spare and runs unfinished hooks again.
 */
import { Socket } from "node:net";
import { FrameReader, frame } from "./frames.ts";
import { Loop } from "./loop.ts";

const PIPE_FD = 3;
const READ_BYTES = 256 * 1024;
/** EX_SOFTWARE of sysexits.h. */
const EXIT_DEFECT = 70;

// Before the first isolate: ICU reads it when a context first asks for the zone.
process.env["TZ"] = "UTC";

function defect(thrown: unknown): never {
  process.stderr.write(`sandbox: ${thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown)}\n`);
  process.exit(EXIT_DEFECT);
}
process.on("uncaughtException", defect);
process.on("unhandledRejection", defect);

const loop = new Loop((payload) => {
  const { data, encoding } = frame(payload);
  pipe.write(data, encoding);
});
const reader = new FrameReader((payload) => loop.frame(payload));
const pipe = new Socket({
  fd: PIPE_FD,
  onread: {
    buffer: Buffer.allocUnsafeSlow(READ_BYTES),
    callback(bytes, buffer) {
      reader.push((buffer as Buffer).subarray(0, bytes));
      return true;
    },
  },
});
pipe.on("error", defect);
// The worker is gone.
pipe.on("end", () => process.exit(0));
pipe.on("close", () => process.exit(0));
pipe.resume();
pipe.read(0);
