/** `npm start`: the shop behind the gateway, with the example rules live, until Ctrl-C. */
import { parseArgs } from "node:util";
import type { RunningShop } from "./run-shop.ts";
import { runShop, ShopFailure } from "./run-shop.ts";
import { reportCommand, thingsToTry } from "./things-to-try.ts";
import { startTraffic, type Traffic, truth } from "./traffic.ts";

const { values } = parseArgs({
  options: {
    port: { type: "string", default: "8080" },
    "admin-port": { type: "string", default: "9901" },
    "origin-port": { type: "string", default: "9001" },
    traffic: { type: "boolean", default: false },
    visitors: { type: "string", default: "20" },
  },
});

const visitorsPerSecond = Number(values.visitors);
if (!(visitorsPerSecond > 0 && visitorsPerSecond <= 200)) {
  process.stderr.write(`shop: found --visitors=${values.visitors}, expected how many come in a second, 200 at most\n`);
  process.exit(2);
}

const ORIGINS = 3;
const firstOrigin = Number(values["origin-port"]);
const ports = {
  gateway: Number(values.port),
  admin: Number(values["admin-port"]),
  origins: Array.from({ length: ORIGINS }, (_, i) => (firstOrigin === 0 ? 0 : firstOrigin + i)),
};

let shop: RunningShop | undefined;
let traffic: Traffic | undefined;
let stopping = false;
const stop = () => {
  if (stopping) return;
  stopping = true;
  process.stdout.write("\nshop: ending\n");
  void end();
};
const end = async () => {
  await traffic?.stop();
  await shop?.stop();
};
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, stop);

process.stdout.write(`shop: starting ${ORIGINS} origin processes and the gateway\n`);
try {
  shop = await runShop({ ports, command: "dev", onLine: (line) => process.stdout.write(`${line}\n`) });
  const { url, adminUrl } = shop;
  process.stdout.write(thingsToTry(url, adminUrl));
  if (values.traffic && !stopping) {
    traffic = startTraffic({ url, visitorsPerSecond, onLine: (line) => process.stdout.write(`${line}\n`) });
    process.stdout.write(trafficTold(visitorsPerSecond, adminUrl));
  }
  if (stopping) await shop.stop();
  const code = await shop.ended;
  await traffic?.stop();
  await shop.stop();
  process.exitCode = stopping ? 0 : code;
} catch (error) {
  if (!(error instanceof ShopFailure)) throw error;
  process.stderr.write(`shop: ${error.message}\n`);
  process.exitCode = 1;
}

function trafficTold(perSecond: number, adminUrl: string): string {
  const lines = [
    `traffic: ${perSecond} visitors come in a second, look around, and some of them order; one in twelve is a bot. What moves them:`,
    ...truth().map((line) => `  ${line}`),
    "Does the report find it? Ask in another terminal, now and in a few minutes:",
    ...["hero-offer", "product-hurry"].map((key) => `  ${reportCommand(key, adminUrl)}`),
  ];
  return `${lines.join("\n")}\n\n`;
}
