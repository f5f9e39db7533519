/** A bare V8 context with the web-standard classes in it, hardened as the sandbox's kernel does it. */
import { build } from "esbuild";
import ivm from "isolated-vm";
import { webHostOp } from "../../runtime/sandbox/process/web-host.ts";

let bundle: Promise<string> | null = null;

/** The classes as one script that leaves `web` behind. */
export function webBundle(): Promise<string> {
  bundle ??= build({
    stdin: {
      contents: `export * from "./web.ts"; export { forbidCodeFromStrings, freezeBuiltIns, freezeDeep, removeGlobals } from "../harden.ts"`,
      resolveDir: new URL("../../runtime/sandbox/kernel/web/", import.meta.url).pathname,
      loader: "ts",
    },
    bundle: true,
    write: false,
    format: "iife",
    globalName: "web",
    platform: "neutral",
    mainFields: ["module", "main"],
    target: "es2024",
    minify: true,
    keepNames: true,
    logLevel: "silent",
  }).then((result) => result.outputFiles[0]!.text);
  return bundle;
}

export interface WebContext {
  /** Runs the body of an async function in the context and gives its result, copied. */
  run(body: string): Promise<unknown>;
  /** Fires the timers that are due `ms` from now. */
  advance(ms: number): void;
  readonly context: ivm.Context;
  dispose(): void;
}

export async function createWebContext(extra = ""): Promise<WebContext> {
  const code = await webBundle();
  const isolate = new ivm.Isolate({ memoryLimit: 64 });
  const context = isolate.createContextSync();
  context.global.setSync("hostSync", new ivm.Callback(webHostOp));
  context.evalSync(code);
  context.evalSync(`
    const timers = []; let clockMs = 1700000000000; let seed = 1;
    globalThis.advance = (ms) => { clockMs += ms; for (const timer of timers.splice(0)) if (timer.at <= clockMs) timer.run(); else timers.push(timer); };
    web.removeGlobals(globalThis);
    web.forbidCodeFromStrings(globalThis);
    web.installWeb(globalThis, {
      sync: hostSync,
      randomByte: () => (seed = (seed * 48271) % 2147483647) >> 8 & 255,
      now: () => clockMs,
      timer(ms, run) { const timer = { at: clockMs + ms, run }; timers.push(timer); return () => void timers.splice(timers.indexOf(timer), 1); },
    }, web.freezeDeep);
    delete globalThis.hostSync;
    web.freezeBuiltIns(globalThis);`);
  if (extra !== "") context.evalSync(extra);
  return {
    context,
    run: (body) => context.evalClosure(`return (async () => { ${body} })()`, [], { result: { copy: true, promise: true } }),
    advance: (ms) => context.evalClosureSync("advance($0)", [ms]),
    dispose: () => isolate.dispose(),
  };
}
