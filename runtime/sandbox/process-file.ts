/**
 * Which file a sandbox process runs. In a package that is its module. In a checkout Node would strip the types of its dozen sources at each
 * start, with a compiler that it loads for that, and keep nothing: a sandbox has no folder to write to. Made one file, once, a start costs
 * 0.1 s of CPU instead of 0.2.
 */
import fs from "node:fs";
import { fileURLToPath } from "node:url";
import { builtOnce } from "./built-once.ts";

const isCheckout = import.meta.url.endsWith(".ts");
let file = "";

export function processFile(): string {
  // Caches are taken away at any time.
  if (file === "" || !fs.existsSync(file)) file = isCheckout ? ofCheckout() : fileURLToPath(new URL("./process/main.js", import.meta.url));
  return file;
}

/** Where nothing can be written: the sources as they are. Every way the path says `sandbox/process`, by which operators find the processes. */
function ofCheckout(): string {
  const source = fileURLToPath(new URL("./process/main.ts", import.meta.url));
  return builtOnce("sandbox/process.mjs", { entryPoints: [source], format: "esm", platform: "node", target: "node24", external: ["isolated-vm"] }) ?? source;
}
