/**
 * The embedded store's process: serves workers over the pipes that the supervisor hands it, and ends with the supervisor.
 * Two of them never write one log: whoever comes second is refused, and tried again by its supervisor.
 */
import { createHash } from "node:crypto";
import fs from "node:fs";
import net from "node:net";
import type { StoreScript } from "../script.ts";
import { readToStoreProcess, type FromStoreProcess } from "./messages.ts";
import { EmbeddedServer } from "./server.ts";

const TEND_EVERY_MS = 200;

export function runStoreProcess(scripts: readonly StoreScript[]): void {
  let server: EmbeddedServer | null = null;
  // The terminal sends Ctrl-C to the whole group: when to end is the supervisor's to say.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
  const end = (code: number): void => {
    server?.close();
    server = null;
    process.exit(code);
  };
  process.on("disconnect", () => end(0));
  process.on("uncaughtException", (error) => {
    // What is in the tables may be half of something: nothing more is written.
    server = null;
    fail(error.stack ?? error.message);
  });
  process.on("message", (raw, handle) => {
    const message = readToStoreProcess(raw);
    switch (message?.kind) {
      case "init":
        lock(message.dir).then(
          () => {
            server = new EmbeddedServer({
              scripts,
              limitBytes: message.limitBytes,
              dir: message.dir,
              unixMs: () => Date.now(),
              warn: (text) => say({ kind: "warn", text }),
            });
            setInterval(() => server?.tend(), TEND_EVERY_MS);
            say({ kind: "ready" });
          },
          (thrown: unknown) => fail((thrown as Error).message),
        );
        return;
      case "pipe":
        if (handle instanceof net.Socket && server !== null) server.serve(handle);
        else if (handle instanceof net.Socket) handle.destroy();
        return;
      case "ask":
        if (server !== null) say({ kind: "status", status: server.status() });
        return;
      case "end":
        end(0);
        return;
      default:
        throw new Error("the supervisor sent something that is no message");
    }
  });
}

/**
 * Held by the kernel for as long as the process lives, however it ends: an abstract socket (Linux) named after the folder. Elsewhere
 * there is none, and two gateways on one stateDir are the operator's to avoid.
 */
function lock(dir: string): Promise<void> {
  if (dir === "" || process.platform !== "linux") return Promise.resolve();
  fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
  const { dev, ino } = fs.statSync(dir);
  const name = createHash("sha256").update(`${dev}:${ino}`).digest("hex");
  return new Promise((resolve, reject) => {
    const held = net.createServer((stranger) => stranger.destroy());
    held.once("error", (error: NodeJS.ErrnoException) =>
      reject(error.code === "EADDRINUSE" ? new Error(`another gateway's store uses ${dir}; give each its own stateDir`) : error),
    );
    held.listen(`\0sluice-store-${name}`, () => resolve());
    held.unref();
  });
}

/** Says why, and ends. */
function fail(reason: string): void {
  if (process.connected) process.send!({ kind: "failed", reason } satisfies FromStoreProcess, () => process.exit(1));
  else process.exit(1);
}

/** After the channel has closed nobody listens, and the process is about to end. */
function say(message: FromStoreProcess): void {
  if (process.connected) process.send!(message);
}
