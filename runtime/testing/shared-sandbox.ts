/**
 * Sandboxes that the gateways of a test process use one after the other: a sandbox is two processes, and each takes longer to start than a
 * hundred requests. What one gateway loaded is unloaded, isolates and all, before the next one gets it; one in which a process
 * was lost is not used again.
 */
import { randomBytes } from "node:crypto";
import { createSandbox, type CreateSandboxOptions } from "../sandbox/client.ts";
import type { LoadedRelease, Sandbox, SandboxEvents } from "../sandbox/sandbox.ts";

/** What differs from one gateway to the next. */
export type Lent = Omit<CreateSandboxOptions, "limits" | "kernel" | "quarantine">;

interface Shared {
  /** Gateways with other limits need another one. */
  readonly kind: string;
  readonly sandbox: Promise<Sandbox>;
  readonly borrower: { user: Lent };
}

/** Ready for the next gateway. More than tests use at once would only take memory. */
const MAX_IDLE = 2;

const idle: Shared[] = [];
const all = new Set<Shared>();

/** What a sandbox says between two gateways is for nobody. */
const NOBODY: SandboxEvents = { log: () => undefined, metric: () => undefined, hook: () => undefined, sandbox: () => undefined };
const FREE: Lent = { vars: {}, secrets: {}, services: {}, events: NOBODY, now: () => Date.now() };

export interface Lease extends Sandbox {
  /** While true no outcome is taken from memory. */
  forgetful: boolean;
}

/** Starts one, so that it is there when a gateway with the same limits comes. */
export function warmSandbox(options: Pick<CreateSandboxOptions, "limits" | "kernel" | "quarantine">): void {
  const shared = started(options, FREE);
  idle.push(shared);
  // Told to the gateway that wants it.
  shared.sandbox.catch(() => undefined);
}

export async function leaseSandbox(options: CreateSandboxOptions): Promise<Lease> {
  const kind = kindOf(options);
  const at = idle.findIndex((shared) => shared.kind === kind);
  const shared = at < 0 ? started(options, options) : idle.splice(at, 1)[0]!;
  shared.borrower.user = options;
  return lease(shared, await shared.sandbox);
}

export async function closeSandboxes(): Promise<void> {
  idle.length = 0;
  await Promise.all([...all].map(end));
}

function kindOf({ limits, quarantine }: Pick<CreateSandboxOptions, "limits" | "quarantine">): string {
  return JSON.stringify([
    quarantine,
    limits.ruleCpuMs,
    limits.ruleWallMs,
    limits.ruleMemoryBytes,
    limits.ruleFetches,
    limits.crossingBytes,
    limits.ruleRecallBytes,
  ]);
}

function started({ limits, kernel, quarantine }: Pick<CreateSandboxOptions, "limits" | "kernel" | "quarantine">, first: Lent): Shared {
  const borrower = { user: first };
  const sandbox = createSandbox({
    limits,
    kernel,
    quarantine,
    // The sandbox asks each time; so the next gateway's words count from when it takes over.
    get vars() {
      return borrower.user.vars;
    },
    get secrets() {
      return borrower.user.secrets;
    },
    get services() {
      return borrower.user.services;
    },
    get tellsReads() {
      return borrower.user.tellsReads ?? false;
    },
    events: {
      log: (entry) => borrower.user.events.log(entry),
      metric: (entry) => borrower.user.events.metric(entry),
      hook: (entry) => borrower.user.events.hook(entry),
      sandbox: (entry) => borrower.user.events.sandbox(entry),
    },
    now: () => borrower.user.now(),
    newSeed: () => borrower.user.newSeed?.() ?? randomBytes(16).toString("hex"),
  });
  const shared: Shared = { kind: kindOf({ limits, quarantine }), sandbox, borrower };
  all.add(shared);
  return shared;
}

function lease(shared: Shared, sandbox: Sandbox): Lease {
  const loaded = new Set<LoadedRelease>();
  const restarts = sandbox.status().restarts;
  const made: Lease = {
    forgetful: false,
    async load(release, maps) {
      const held = await sandbox.load(release, maps);
      loaded.add(held);
      return held;
    },
    unload(release) {
      loaded.delete(release);
      sandbox.unload(release);
    },
    recall: (run) => (made.forgetful ? null : sandbox.recall(run)),
    run: (run) => sandbox.run(run),
    status: () => sandbox.status(),
    async close() {
      for (const release of loaded) sandbox.unload(release);
      loaded.clear();
      const { restarts: now, sparePid, outstanding } = sandbox.status();
      if (now !== restarts || sparePid === 0 || outstanding > 0 || idle.length >= MAX_IDLE) {
        await end(shared);
        return;
      }
      shared.borrower.user = FREE;
      idle.push(shared);
    },
  };
  return made;
}

async function end(shared: Shared): Promise<void> {
  all.delete(shared);
  await (await shared.sandbox).close();
}
