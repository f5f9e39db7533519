/** Two ends of one pipe, to be handed to two child processes: Node has no `socketpair`. */
import { mkdtemp, rm } from "node:fs/promises";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";

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
