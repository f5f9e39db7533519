/** So many requests a second, whatever the answers take: spread over gateways, one at a time on each of many kept connections. */
import net from "node:net";

export interface SteadyLoad {
  readonly ports: readonly number[];
  readonly connectionsPerPort: number;
  readonly requestsPerSecond: number;
  readonly seconds: number;
  readonly path: string;
}

export interface SteadyTally {
  readonly sent: number;
  /** Status → answers. */
  readonly statuses: ReadonlyMap<number, number>;
  /** From the first request to the last answer. */
  readonly tookMs: number;
}

const TICK_MS = 2;
const LAST_ANSWER_DEADLINE_MS = 5_000;

export async function offer(load: SteadyLoad): Promise<SteadyTally> {
  const statuses = new Map<number, number>();
  let answered = 0;
  const request = `GET ${load.path} HTTP/1.1\r\nhost: prove.example\r\n\r\n`;
  // Round-robin over the gateways: free connections of each.
  const free: net.Socket[][] = load.ports.map(() => []);
  await Promise.all(
    load.ports.flatMap((port, gateway) =>
      Array.from(
        { length: load.connectionsPerPort },
        () =>
          new Promise<void>((resolve, reject) => {
            const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
            const answers = new AnswerReader((status) => {
              statuses.set(status, (statuses.get(status) ?? 0) + 1);
              answered++;
              free[gateway]!.push(socket);
            });
            socket.on("data", (bytes: Buffer) => answers.take(bytes));
            socket.once("error", reject);
            socket.once("connect", () => {
              free[gateway]!.push(socket);
              resolve();
            });
          }),
      ),
    ),
  );
  const startMs = performance.now();
  const total = load.requestsPerSecond * load.seconds;
  let sent = 0;
  await new Promise<void>((resolve) => {
    const tick = setInterval(() => {
      const elapsedMs = performance.now() - startMs;
      const due = Math.min(total, Math.floor((elapsedMs / 1000) * load.requestsPerSecond));
      for (let tries = 0; sent < due && tries < load.ports.length;) {
        const socket = free[sent % load.ports.length]!.pop() ?? free.find((sockets) => sockets.length > 0)?.pop();
        if (socket === undefined) break;
        tries = 0;
        sent++;
        socket.write(request);
      }
      const over = elapsedMs > load.seconds * 1000;
      if (over && (answered === sent || elapsedMs > load.seconds * 1000 + LAST_ANSWER_DEADLINE_MS)) {
        clearInterval(tick);
        resolve();
      }
    }, TICK_MS);
  });
  const tookMs = performance.now() - startMs;
  for (const sockets of free) for (const socket of sockets) socket.destroy();
  return { sent, statuses, tookMs };
}

/** One after another: how long each took, in milliseconds. */
export async function askInTurn(port: number, path: string, count: number): Promise<number[]> {
  const socket = net.connect({ port, host: "127.0.0.1", noDelay: true });
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  const request = `GET ${path} HTTP/1.1\r\nhost: prove.example\r\n\r\n`;
  const took: number[] = [];
  await new Promise<void>((resolve, reject) => {
    let startMs = performance.now();
    const answers = new AnswerReader((status) => {
      if (status !== 200) return reject(new Error(`the answer's status is ${status}`));
      took.push(performance.now() - startMs);
      if (took.length === count) return resolve();
      startMs = performance.now();
      socket.write(request);
    });
    socket.on("data", (bytes: Buffer) => answers.take(bytes));
    socket.once("close", () => reject(new Error("the connection was closed")));
    socket.write(request);
  });
  socket.destroy();
  return took;
}

/** Finds the ends of answers with a Content-Length. */
class AnswerReader {
  readonly #answered: (status: number) => void;
  #text = "";

  constructor(answered: (status: number) => void) {
    this.#answered = answered;
  }

  take(bytes: Buffer): void {
    this.#text += bytes.toString("latin1");
    for (;;) {
      const headEnd = this.#text.indexOf("\r\n\r\n");
      if (headEnd < 0) return;
      const length = /\r\ncontent-length: *(\d+)/i.exec(this.#text.slice(0, headEnd));
      if (length === null) throw new Error(`an answer without Content-Length: ${this.#text.slice(0, headEnd)}`);
      const end = headEnd + 4 + Number(length[1]);
      if (this.#text.length < end) return;
      const status = Number(this.#text.slice(9, 12));
      this.#text = this.#text.slice(end);
      this.#answered(status);
    }
  }
}
