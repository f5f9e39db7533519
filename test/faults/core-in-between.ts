/** A proxy core in this process, without rules unless given, between an origin that a test scripts byte by byte and clients that speak raw bytes. */
import { once } from "node:events";
import { connect } from "node:net";
import type { TestContext } from "node:test";
import { EMPTY_RELEASE, type Release } from "../../runtime/compile/release.ts";
import { resolveConfig } from "../../runtime/config/config.ts";
import { createObserver } from "../../runtime/observe/observe.ts";
import { startWorker, type Worker } from "../../runtime/proxy/worker.ts";
import { buildKernel } from "../../runtime/sandbox/kernel/build.ts";
import { Client, INNOCENT } from "../proxy/http1/front-harness.ts";
import { origin, type Origin, type OriginConnection, until } from "../upstream/origin.ts";

export interface CoreInBetween {
  readonly worker: Worker;
  readonly origin: Origin;
  connect(): Promise<Client>;
  /** Everything that comes back on a connection of its own. */
  ask(text: string | Buffer): Promise<string>;
  /** The same gateway answers an innocent request; throws what came instead. */
  innocentIsAnswered(): Promise<void>;
  /** No connection to the origin carries an exchange. */
  nothingIsHeld(): Promise<void>;
}

interface Options {
  readonly release?: Release;
  readonly upstream?: object;
  readonly config?: object;
}

/** `script` runs for each connection to the origin. */
export async function openCore(
  t: TestContext,
  script: (connection: OriginConnection) => Promise<void> | void,
  { release = EMPTY_RELEASE, upstream = {}, config: more = {} }: Options = {},
): Promise<CoreInBetween> {
  const scripted = await origin(script);
  t.after(() => scripted[Symbol.asyncDispose]());
  const config = resolveConfig(
    {
      listeners: [{ host: "127.0.0.1", port: 0 }],
      upstreams: { site: { targets: [scripted.url], ...upstream } },
      log: { access: "off" },
      admin: false,
      ...more,
    },
    { baseDir: import.meta.dirname, file: "" },
  );
  const worker = await startWorker(
    { config, release, maps: {}, listenerFds: [], workerNumber: 0, kernel: release.rules.length === 0 ? "" : await buildKernel() },
    {
      observer: createObserver({ log: config.log, sink: { dropped: 0, write: () => undefined, flushSync: () => undefined }, now: () => performance.now() }),
      listenAt: config.listeners,
    },
  );
  t.after(() => worker.close());
  const { port } = worker.addresses[0]!;
  const open = async (): Promise<Client> => {
    const socket = connect({ host: "127.0.0.1", port, allowHalfOpen: true });
    const client = new Client(socket);
    t.after(() => socket.destroy());
    await once(socket, "connect");
    return client;
  };
  const ask = async (text: string | Buffer): Promise<string> => {
    const client = await open();
    client.send(text);
    const whole = await client.whole();
    client.socket.destroy();
    return whole;
  };
  return {
    worker,
    origin: scripted,
    connect: open,
    ask,
    async innocentIsAnswered() {
      const received = await ask(INNOCENT);
      if (!received.startsWith("HTTP/1.1 200 ")) throw new Error(`the innocent request got ${JSON.stringify(received.slice(0, 200))}`);
    },
    nothingIsHeld: () => until(() => worker.core.upstreams.status().every(({ active }) => active === 0) && worker.core.inFlight === 0),
  };
}
