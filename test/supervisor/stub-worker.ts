/** A worker without a proxy core: node:http on the inherited sockets, so that the process tree is tested by itself. */
import { createServer, type Server } from "node:http";
import net from "node:net";
import { reasonOf } from "../../runtime/supervisor/start-error.ts";
import { runWorker } from "../../runtime/supervisor/worker-loop.ts";
import type { startWorker, WorkerHooks, WorkerInit } from "../../runtime/proxy/worker.ts";

/** Rules of a stub's release are named for what the stub shall do with it. */
function refuse(init: Pick<WorkerInit, "release">, when: "starting" | "loading"): void {
  for (const { manifest } of init.release.rules) if (manifest.name === `fail-${when}.ts`) throw new Error(`${manifest.name}:1:1: refused while ${when}`);
}

async function startStub(init: WorkerInit, { observer, store }: WorkerHooks) {
  const { config } = init;
  // Shown to tests: what a reload brought.
  const { theme, crash } = config.vars as { theme?: string; crash?: string };
  if (crash === "starting") throw new Error("vars.crash asks for it");
  refuse(init, "starting");
  let release = init.release.id;
  let accepted = 0;
  let inFlight = 0;
  let draining = false;
  let onDrain: (() => void)[] = [];
  const servers: Server[] = init.listenerFds.map(() =>
    createServer((request, response) => {
      inFlight++;
      response.once("close", () => inFlight--);
      observer.exchange({
        id: `${process.pid}-${accepted}`,
        startMs: Date.now(),
        clientAddress: "127.0.0.1",
        scheme: "http",
        httpVersion: "1.1",
        method: request.method ?? "",
        host: "",
        target: request.url ?? "",
        status: 200,
        code: "",
        detail: "",
        from: "gateway",
        route: -1,
        upstream: "",
        upstreamTarget: "",
        release,
        rule: "",
        durationMs: 1,
        upstreamMs: 0,
        receivedBytes: 0,
        sentBytes: 0,
        completed: true,
        userAgent: "",
      });
      if (draining) response.setHeader("connection", "close");
      if (request.url === "/die") process.exit(7);
      if (request.url === "/hold") {
        response.write("first,");
        // Finishes only after the drain has begun: a response that runs through a shutdown.
        onDrain.push(() => response.end("last"));
        return;
      }
      response.end(JSON.stringify({ pid: process.pid, worker: init.workerNumber, release, theme }));
    }).on("connection", () => accepted++),
  );
  await Promise.all(
    servers.map((server, i) => new Promise<void>((resolve, reject) => server.once("error", reject).listen({ fd: init.listenerFds[i]![0]! }, resolve))),
  );
  const prepare = async (next: WorkerInit["release"]) => {
    refuse({ release: next }, "loading");
    return Object.assign(() => void (release = next.id), { discard: () => undefined });
  };
  return {
    prepare,
    swap: async (next: WorkerInit["release"]) => (await prepare(next))(),
    snapshot: () => ({
      observed: observer.snapshot(),
      inFlight,
      connections: { open: 0, accepted },
      upstreams: [],
      sandbox: null,
      store: { ...store!.health(), liveGateways: store!.liveGateways(), liveMembers: store!.liveMembers() },
      release,
    }),
    async drain() {
      draining = true;
      // Not http.Server's own close: that cuts connections which were accepted a moment ago and whose request is still on its way.
      const closed = Promise.all(servers.map((server) => new Promise((resolve) => net.Server.prototype.close.call(server, resolve))));
      for (const finish of onDrain) finish();
      onDrain = [];
      await closed;
    },
    async close() {
      for (const server of servers) server.closeAllConnections();
    },
  };
}

process.on("unhandledRejection", (thrown) => process.stderr.write(`${reasonOf(thrown)}\n`));
runWorker(startStub as unknown as typeof startWorker);
