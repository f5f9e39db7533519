/** `npm start`: the shop behind the gateway, with the example rules live, until Ctrl-C. */
import { parseArgs } from "node:util";
import type { RunningShop } from "./run-shop.ts";
import { runShop, ShopFailure } from "./run-shop.ts";
import { thingsToTry } from "./things-to-try.ts";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "8080" },
    "admin-port": { type: "string", default: "9901" },
    "origin-port": { type: "string", default: "9001" },
  },
});

const ORIGINS = 3;
const firstOrigin = Number(values["origin-port"]);
const ports = {
  gateway: Number(values.port),
  admin: Number(values["admin-port"]),
  origins: Array.from({ length: ORIGINS }, (_, i) => (firstOrigin === 0 ? 0 : firstOrigin + i)),
};

let shop: RunningShop | undefined;
let stopping = false;
const stop = () => {
  if (stopping) return;
  stopping = true;
  process.stdout.write("\nshop: ending\n");
  void shop?.stop();
};
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);

process.stdout.write(`shop: starting ${ORIGINS} origin processes and the gateway\n`);
try {
  shop = await runShop({ ports, command: "dev", onLine: (line) => process.stdout.write(`${line}\n`) });
  process.stdout.write(thingsToTry(shop.url, shop.adminUrl));
  if (stopping) await shop.stop();
  const code = await shop.ended;
  await shop.stop();
  process.exitCode = stopping ? 0 : code;
} catch (error) {
  if (!(error instanceof ShopFailure)) throw error;
  process.stderr.write(`shop: ${error.message}\n`);
  process.exitCode = 1;
}
