/** Records and sinks for the tests of this folder. */
import { createMemoryStore } from "../../runtime/store/store.ts";
import type { LogSink } from "../../runtime/observe/observe.ts";
import type { ExchangeRecord } from "../../runtime/observe/record.ts";
import type { CounterSnapshot, WorkerSnapshot } from "../../runtime/observe/snapshot.ts";

export function record(overrides: Partial<ExchangeRecord> = {}): ExchangeRecord {
  return {
    id: "a-1",
    startMs: 1_700_000_000_000,
    clientAddress: "192.0.2.1",
    scheme: "http",
    httpVersion: "1.1",
    method: "GET",
    host: "shop.example.com",
    target: "/",
    status: 200,
    code: "",
    detail: "",
    from: "upstream",
    route: 0,
    upstream: "shop",
    upstreamTarget: "http://127.0.0.1:9001",
    release: "abc",
    rule: "",
    durationMs: 3,
    upstreamMs: 2,
    receivedBytes: 10,
    sentBytes: 100,
    completed: true,
    userAgent: "curl/8",
    ...overrides,
  };
}

export class MemorySink implements LogSink {
  readonly lines: Record<string, unknown>[] = [];
  dropped = 0;
  write(line: string): void {
    this.lines.push(JSON.parse(line) as Record<string, unknown>);
  }
  flushSync(): void {}
}

export const ALL = { accessShare: 1, errorsOnly: false, off: false, redactHeaders: [], redactQuery: [] };

const STORE = { ...createMemoryStore().health(), liveGateways: 1, liveMembers: 1 };

export function workerSnapshot(observed: CounterSnapshot, overrides: Partial<WorkerSnapshot> = {}): WorkerSnapshot {
  return { observed, inFlight: 0, connections: { open: 0, accepted: 0 }, upstreams: [], sandbox: null, store: STORE, release: "abc", ...overrides };
}
