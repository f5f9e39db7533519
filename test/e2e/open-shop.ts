/** The demo shop for one test file: on free ports, with a state folder of its own, ended when the file's tests are over. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after } from "node:test";
import type { RunningShop, ShopOptions } from "../../rules-examples/shop/run-shop.ts";
import { runShop } from "../../rules-examples/shop/run-shop.ts";

export interface OpenShop extends RunningShop {
  /** What gateway and origins have printed. */
  readonly lines: readonly string[];
  readonly stateDir: string;
}

export async function openShop(how: Partial<Pick<ShopOptions, "command" | "config">> = {}): Promise<OpenShop> {
  const stateDir = await mkdtemp(join(tmpdir(), "sluice-shop-"));
  const lines: string[] = [];
  const ports = { gateway: 0, admin: 0, origins: [0, 0, 0] };
  const shop = await runShop({ ports, command: "start", stateDir, firstByte: "1s", ...how, onLine: (line) => lines.push(line) }).catch((error: unknown) => {
    throw new Error(`the shop does not open; it printed:\n${lines.join("\n")}`, { cause: error });
  });
  after(async () => {
    await shop.stop();
    await rm(stateDir, { recursive: true, force: true });
  });
  return { ...shop, lines, stateDir };
}
