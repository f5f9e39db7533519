/** Sluice, one worker: the same rule in TypeScript, one file for each. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PACKAGE_ROOT, sluiceCommand } from "../load/checkout.ts";
import type { Server } from "../load/processes.ts";
import { prefixes, type Work } from "../load/work.ts";
import type { Contender, Place } from "./contender.ts";

export const sluice: Contender = {
  name: "sluice",
  title: "Sluice",
  hash: "FNV-1a",
  install: "",
  installed: () => true,
  version: () => (JSON.parse(readFileSync(join(PACKAGE_ROOT, "package.json"), "utf8")) as { version: string }).version,
  takesPart: () => true,
  setUp,
};

function setUp(work: Work, { folder, port, originPort }: Place): Server {
  writeFileSync(
    join(folder, "sluice.config.json"),
    JSON.stringify({
      listeners: [{ host: "127.0.0.1", port }],
      upstreams: { origin: { targets: [`http://127.0.0.1:${originPort}`], maxConnections: 4096 } },
      ...(work.hooks === "none" ? {} : { rules: "./rules" }),
      log: { access: work.accessLog ? "all" : "off" },
      // 1,000 connections come from one address here, and ten thousand rules are more than the defaults are made for.
      limits: { connectionsPerClient: 10_000, ...(work.rules > 1_000 ? { releaseSize: "64MiB", ruleMemory: "512MiB" } : {}) },
      admin: false,
    }),
  );
  if (work.hooks !== "none") writeRules(work, folder);
  return {
    name: sluice.name,
    command: sluiceCommand("start", "--config", folder, "--workers", "1"),
    port,
    ...(work.accessLog ? { outputFile: join(folder, "access.log") } : {}),
  };
}

function writeRules(work: Work, folder: string): void {
  mkdirSync(join(folder, "rules"));
  writeFileSync(join(folder, "variant.ts"), VARIANT);
  for (const [i, prefix] of prefixes(work).entries()) writeFileSync(join(folder, "rules", `rule-${i}.ts`), ruleText(prefix, work.hooks === "both"));
}

const VARIANT = `/** FNV-1a, 32 bits. */
export function variantOf(text: string): string {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  return (hash >>> 0) % 100 < 50 ? "a" : "b";
}
`;

function ruleText(prefix: string, answersToo: boolean): string {
  const onResponse = `
  onResponse(res, _req, ctx) {
    res.headers.set("x-variant", ctx.state.variant ?? "");
    res.headers.delete("x-trace-id");
  },`;
  return `import { defineRule } from "sluice";
import { variantOf } from "../variant.ts";

export default defineRule<{ variant: string }>({
  when: { path: "${prefix}*" },
  onRequest(req, ctx) {
    const variant = variantOf(req.headers.get("user-agent") ?? "");
    ctx.state.variant = variant;
    req.headers.set("x-variant", variant);
    req.headers.delete("x-debug");
    req.path = "/new/" + req.path.slice(${prefix.length});
  },${answersToo ? onResponse : ""}
});
`;
}
