/** The kernel as one script whose completion value is `boot`. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

let built: Promise<string> | null = null;

/** From a file beside this one where a release was packed, else bundled from the sources; once per process. */
export function buildKernel(): Promise<string> {
  return (built ??= prebuilt() ?? bundle());
}

function prebuilt(): Promise<string> | null {
  const file = new URL("./kernel.js", import.meta.url);
  return existsSync(file) ? Promise.resolve(readFileSync(file, "utf8")) : null;
}

export async function bundle(): Promise<string> {
  const { build } = await import("esbuild");
  const result = await build({
    entryPoints: [fileURLToPath(new URL("./boot.ts", import.meta.url))],
    bundle: true,
    write: false,
    format: "iife",
    globalName: "kernel",
    platform: "neutral",
    mainFields: ["module", "main"],
    target: "es2024",
    minify: true,
    keepNames: true,
    legalComments: "none",
    logLevel: "silent",
    // A variable of a function, not of the global object.
    banner: { js: "(() => {" },
    footer: { js: "return kernel.boot; })()" },
  });
  return result.outputFiles[0]!.text;
}
