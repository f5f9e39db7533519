/** The kernel as one script whose completion value is `boot`. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { BuildOptions } from "esbuild";
import { builtOnce } from "../built-once.ts";

let built: Promise<string> | null = null;

/** From a file beside this one where a release was packed, else bundled from the sources; read once per process. */
export function buildKernel(): Promise<string> {
  return (built ??= prebuilt() ?? ofCheckout() ?? bundle());
}

function prebuilt(): Promise<string> | null {
  const file = new URL("./kernel.js", import.meta.url);
  return existsSync(file) ? Promise.resolve(readFileSync(file, "utf8")) : null;
}

const OPTIONS: BuildOptions = {
  entryPoints: [fileURLToPath(new URL("./boot.ts", import.meta.url))],
  format: "iife",
  globalName: "kernel",
  platform: "neutral",
  mainFields: ["module", "main"],
  target: "es2024",
  minify: true,
  keepNames: true,
  legalComments: "none",
  // A variable of a function, not of the global object.
  banner: { js: "(() => {" },
  footer: { js: "return kernel.boot; })()" },
};

/** Null: nothing can be written there. */
function ofCheckout(): Promise<string> | null {
  const file = builtOnce("kernel.js", OPTIONS);
  if (file === null) return null;
  const text = readFileSync(file, "utf8");
  return Promise.resolve(text.slice(text.indexOf("\n") + 1));
}

export async function bundle(): Promise<string> {
  const { build } = await import("esbuild");
  const result = await build({ ...OPTIONS, bundle: true, write: false, logLevel: "silent" });
  return result.outputFiles[0]!.text;
}
