/** Two ends of one pipe, to be handed to two child processes: Node has no `socketpair`. */
import type { ChildProcess } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

/**
 * Gives one end to a child. Ours is closed as soon as it is on its way: should the child die before it takes it, the kernel closes the last
 * one, and whoever has the other end learns of it (tested: left to Node, ours stays open until an acknowledgement that never comes).
 */
export function handOver(child: ChildProcess, message: object, pipe: net.Socket): void {
  const close = (): void => void pipe.destroy();
  if (!child.connected) {
    close();
    return;
  }
  child.once("exit", close);
  child.send(message, pipe, { keepOpen: true }, () => {
    child.off("exit", close);
    close();
  });
}

/** Through a socket in a folder that only this user may enter, and which is gone before anybody uses the pipe. Neither end reads yet. */
export async function socketPair(): Promise<readonly [net.Socket, net.Socket]> {
  const dir = await mkdtemp(path.join(tmpdir(), "sluice-"));
  const server = net.createServer({ pauseOnConnect: true });
  try {
    return await new Promise<readonly [net.Socket, net.Socket]>((resolve, reject) => {
      server.once("error", reject);
      server.listen(path.join(dir, "pipe"), () => {
        const near = new net.Socket();
        near.pause();
        near.once("error", reject);
        const connected = new Promise<void>((done) => near.once("connect", done));
        server.once("connection", (far) => void connected.then(() => resolve([near, far])));
        near.connect(path.join(dir, "pipe"));
      });
    });
  } finally {
    server.close();
    await rm(dir, { recursive: true, force: true });
  }
}
