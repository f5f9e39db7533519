/** A real embedded store: its process, and clients on pipes to it. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TestContext } from "node:test";
import { systemClock, type Clock } from "../../runtime/clock.ts";
import { EmbeddedStore } from "../../runtime/store/embedded/client.ts";
import { StoreProcess, type StoreProcessOptions } from "../../runtime/supervisor/store-process.ts";

export interface EmbeddedSetup {
  readonly host: StoreProcess;
  readonly events: { level: string; event: string; facts: Readonly<Record<string, unknown>> }[];
  connect(options?: { timeoutMs?: number; member?: boolean; clock?: Clock }): EmbeddedStore;
}

export function storeDir(t: TestContext): string {
  const dir = mkdtempSync(path.join(tmpdir(), "sluice-store-"));
  t.after(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

export async function startEmbedded(t: TestContext, options: Partial<StoreProcessOptions> = {}): Promise<EmbeddedSetup> {
  const events: EmbeddedSetup["events"] = [];
  const stores: EmbeddedStore[] = [];
  const host = new StoreProcess({
    dir: "",
    limitBytes: 8 * 1024 * 1024,
    clock: systemClock,
    random: () => 0.5,
    onEvent: (level, event, facts) => void events.push({ level, event, facts }),
    entry: path.join(import.meta.dirname, "store-main.ts"),
    ...options,
  });
  t.after(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await host.stop();
  });
  await host.ready;
  return {
    host,
    events,
    connect({ timeoutMs = 5000, member = true, clock = systemClock } = {}) {
      const store: EmbeddedStore = new EmbeddedStore({
        clock,
        timeoutMs,
        member,
        requestPipe: () => host.givePipe((pipe) => store.attach(pipe)),
        warn: () => undefined,
      });
      stores.push(store);
      return store;
    },
  };
}
