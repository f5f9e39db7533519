/**
 * A worker's side of the IPC channel: starts the proxy core and does what the supervisor asks.
 * The process ends when the channel closes: a worker never outlives its supervisor, nor holds its port.
 */
import net from "node:net";
import { systemClock } from "../clock.ts";
import type { PurgeReport } from "../cache/cache.ts";
import { createLogSink } from "../observe/log-sink.ts";
import { createObserver, type Observer } from "../observe/observe.ts";
import { Tails } from "../observe/tail.ts";
import type { PreparedRelease, startWorker, Worker } from "../proxy/worker.ts";
import { openStore, type OpenedStore } from "../store/store.ts";
import { readToWorker, type FromWorker, type Request } from "./messages.ts";
import { expectProbe } from "./probe-answer.ts";
import { problemAnswer } from "./problem-answer.ts";
import { reasonOf } from "./start-error.ts";
import type { TailOrder } from "./tails.ts";
import { WantedReleases } from "./wanted-releases.ts";

const STDOUT = 1;
/** Between two batches of live lines: nobody sees that they are so late. */
const TAIL_REST_MS = 250;
/** Closing sandboxes and sockets at the end may take this long. */
const CLOSE_DEADLINE_MS = 1_500;

interface Running {
  readonly worker: Worker;
  readonly observer: Observer;
  readonly opened: OpenedStore;
  readonly wanted: WantedReleases;
  /** Set between "prepare" and "activate" or "discard". */
  prepared: PreparedRelease | null;
  /** Counts "prepare" and "discard": what was prepared for an earlier one has come too late. */
  preparation: number;
}

export function runWorker(start: typeof startWorker): void {
  const sink = createLogSink(STDOUT);
  process.on("exit", () => sink.flushSync());
  // The terminal sends Ctrl-C to the whole group and systemd TERM to every process of a service: when to stop is the supervisor's to say.
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
  // Without a supervisor there is nothing left to say to anybody; and an orderly exit, which waits for V8's threads, was seen to wait for ever.
  process.on("disconnect", () => {
    sink.flushSync();
    process.kill(process.pid, "SIGKILL");
  });
  process.on("uncaughtException", (error) => {
    fail(error.stack ?? error.message);
  });

  let running: Running | null = null;
  let opened: OpenedStore | null = null;
  let tails: Tails | null = null;
  process.on("message", (raw, handle) => {
    const message = readToWorker(raw);
    if (message === null) throw new Error("the supervisor sent something that is no message");
    switch (message.kind) {
      case "init": {
        const { init, gateway } = message;
        tails = new Tails({
          worker: init.workerNumber,
          unixMs: () => systemClock.unixMs(),
          send: (batch) => say({ kind: "tail", batch }),
          rest: (next) => void systemClock.after(TAIL_REST_MS, next),
        });
        const observer = createObserver({ log: init.config.log, sink, now: () => performance.now(), tails });
        openStore({
          config: init.config.store,
          clock: systemClock,
          gateway,
          member: true,
          requestPipe: () => say({ kind: "want-store-pipe" }),
          warn: (text) => observer.note("warn", "store", { text }),
        })
          .then(async (open) => {
            opened = open;
            const wanted = new WantedReleases(systemClock, say);
            const worker = await start(init, { observer, store: open.store, releases: wanted });
            running = { worker, observer, opened: open, wanted, prepared: null, preparation: 0 };
            say({ kind: "ready" });
          })
          .catch((thrown: unknown) => fail(reasonOf(thrown)));
        return;
      }
      case "store-pipe":
        if (handle instanceof net.Socket) opened!.attach(handle);
        return;
      case "ask":
        void reply(running, message.call, message.request);
        return;
      case "tail":
        follow(tails!, message.tail);
        return;
      case "end":
        void end(running);
    }
  });
}

async function reply(running: Running | null, call: number, request: Request): Promise<void> {
  try {
    if (running === null) throw new Error("the worker has not started");
    if (request.ask === "purge") {
      say({ kind: "answer", call, ok: true, reason: "", snapshot: null, purged: await purge(running.worker, request) });
      return;
    }
    if (request.ask === "explain") {
      say({ kind: "answer", call, ok: true, reason: "", snapshot: null, explanation: await running.worker.explain(request.explain) });
      return;
    }
    const snapshot = await obey(running, request);
    say({ kind: "answer", call, ok: true, reason: "", snapshot });
  } catch (thrown) {
    say({ kind: "answer", call, ok: false, reason: reasonOf(thrown), snapshot: null });
  }
}

async function purge({ core: { cache } }: Worker, { order, everywhere }: Extract<Request, { ask: "purge" }>): Promise<PurgeReport> {
  if (cache === null) throw new Error("this gateway has no cache");
  if (everywhere) return cache.purge(order);
  cache.purgeHere(order);
  return { done: 1, members: 1, reason: "" };
}

async function obey(running: Running, request: Exclude<Request, { ask: "purge" | "explain" }>) {
  const { worker } = running;
  switch (request.ask) {
    case "prepare":
      await prepare(running, request);
      return null;
    case "activate": {
      const { prepared } = running;
      if (prepared === null) throw new Error("no release is prepared");
      running.prepared = null;
      prepared();
      return null;
    }
    case "discard":
      forget(running);
      return null;
    case "run-canary": {
      const { prepared } = running;
      const loaded = prepared?.table.releaseId === request.terms.release ? prepared : null;
      worker.runCanary(loaded, request.terms);
      if (loaded !== null) running.prepared = null;
      return null;
    }
    case "end-canary":
      worker.endCanary();
      return null;
    case "promote-canary":
      worker.promoteCanary(request.release);
      return null;
    case "preview-key":
      worker.previewKey(request.key);
      return null;
    case "take-release":
      running.wanted.took(request.id, request.taken, request.reason);
      return null;
    case "accept":
      await worker.accept();
      return null;
    case "show-problem":
      worker.core.problemPage = request.problem === null ? null : problemAnswer(request.problem);
      return null;
    case "expect-probe":
      expectProbe(worker.core, request.path);
      return null;
    case "shadow":
      await worker.shadow(request.shadow);
      return null;
    case "drain":
      await worker.drain();
      return worker.snapshot();
    case "snapshot":
      return worker.snapshot();
  }
}

async function prepare(running: Running, { release, maps, routes }: Extract<Request, { ask: "prepare" }>): Promise<void> {
  forget(running);
  const { preparation } = running;
  const prepared = await running.worker.prepare(release, maps, routes);
  if (running.preparation === preparation) {
    running.prepared = prepared;
    return;
  }
  prepared.discard();
  throw new Error(`release ${release.id} was given up while it loaded`);
}

function forget(running: Running): void {
  running.preparation++;
  running.prepared?.discard();
  running.prepared = null;
}

function follow(tails: Tails, order: TailOrder): void {
  if (order.order === "open") tails.open(order.tail, order.filter, order.key);
  else tails[order.order](order.tail);
}

async function end(running: Running | null): Promise<void> {
  setTimeout(() => process.exit(0), CLOSE_DEADLINE_MS);
  await running?.worker.close();
  await running?.opened.store.close();
  process.exit(0);
}

/** Says why, and ends. */
function fail(reason: string): void {
  setTimeout(() => process.exit(1), CLOSE_DEADLINE_MS);
  if (process.connected) process.send!({ kind: "failed", reason } satisfies FromWorker, () => process.exit(1));
  else process.exit(1);
}

/** After the channel has closed nobody listens, and the process is about to end. */
function say(message: FromWorker): void {
  if (process.connected) process.send!(message);
}
