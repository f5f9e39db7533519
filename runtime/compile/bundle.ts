/** Rule modules → classic scripts, by esbuild: each module alone, npm packages bundled in, Node modules refused. */
import { existsSync, readFileSync } from "node:fs";
import { builtinModules } from "node:module";
import path from "node:path";
import { build, type BuildFailure, type Message, type OutputFile, type Plugin } from "esbuild";
import { codeFrame, type Problem } from "./problem.ts";

export interface RuleFile {
  /** Name of the rule: path below the rules folder, with "/". */
  readonly name: string;
  /** Absolute. */
  readonly file: string;
}

export interface Bundled extends RuleFile {
  readonly code: string;
  /** Source map (v3) with sources relative to the project. */
  readonly map: string;
}

/** The script is an expression: a function from what `import … from "sluice"` gives to the module's exports. */
const BEFORE =
  '(function(sluice){"use strict";var module={exports:{}},exports=module.exports,require=function(name){if(name==="sluice")return sluice;throw new Error("there is no module "+name+" in the sandbox")};';
const AFTER = "return module.exports})";
/** A folder that does not exist: esbuild wants one to name its outputs by, and nothing is written. */
const OUT = ".sluice-out";
const NODE_MODULES: readonly string[] = builtinModules.filter((name) => !name.includes(":"));
/** Only these imports are asked about: each question is a message to esbuild and back, together a fifth of a build of 200 rules. */
const NODE_IMPORT = new RegExp(`^(?:node:|(?:${NODE_MODULES.join("|")})(?:/|$))`);

/** `minify` false: statements stay as they were written, for who counts them. */
export async function bundleRules(files: readonly RuleFile[], baseDir: string, { minify = true } = {}): Promise<{ bundled: Bundled[]; problems: Problem[] }> {
  if (files.length === 0) return { bundled: [], problems: [] };
  const outdir = path.join(baseDir, OUT);
  // Numbers as output names: two rules may have the same path below different folders.
  const entryPoints = files.map((rule, index) => ({ in: rule.file, out: String(index) }));
  try {
    const result = await build({
      entryPoints,
      outdir,
      absWorkingDir: baseDir,
      bundle: true,
      write: false,
      format: "cjs",
      platform: "browser",
      // What fits a bare, web-standard runtime best; never a package's Node side.
      conditions: ["worker", "browser"],
      mainFields: ["browser", "module", "main"],
      external: ["sluice"],
      target: "es2024",
      minifyWhitespace: minify,
      minifySyntax: minify,
      legalComments: "none",
      charset: "utf8",
      sourcemap: "external",
      define: { "process.env.NODE_ENV": '"production"' },
      banner: { js: BEFORE },
      footer: { js: AFTER },
      logLevel: "silent",
      plugins: [refuseNodeModules],
      tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
    });
    const output = new Map(result.outputFiles.map((file) => [path.relative(outdir, file.path), file]));
    return {
      bundled: files.map((rule, index) => ({
        ...rule,
        code: output.get(`${index}.js`)!.text.trimEnd(),
        map: portableMap(output.get(`${index}.js.map`)!, baseDir),
      })),
      problems: [],
    };
  } catch (thrown) {
    if (!(thrown instanceof Error && "errors" in thrown)) throw thrown;
    return { bundled: [], problems: (thrown as BuildFailure).errors.map((message) => problemOf(message, baseDir)) };
  }
}

/** Map sources are relative to the output's folder; rebased, so that a release is the same wherever it is built. */
function portableMap(file: OutputFile, baseDir: string): string {
  const map = JSON.parse(file.text) as { sources: string[] };
  map.sources = map.sources.map((source) =>
    path
      .relative(baseDir, path.resolve(path.dirname(file.path), source))
      .split(path.sep)
      .join("/"),
  );
  return JSON.stringify(map);
}

const refuseNodeModules: Plugin = {
  name: "refuse-node-modules",
  setup(context) {
    context.onResolve({ filter: NODE_IMPORT }, async (args) => {
      if (args.kind === "entry-point" || args.pluginData === "installed") return undefined;
      // "events", "buffer" and the like are npm packages too; an installed one that needs no Node is welcome.
      if (!args.path.startsWith("node:")) {
        const installed = await context.resolve(args.path, { importer: args.importer, resolveDir: args.resolveDir, kind: args.kind, pluginData: "installed" });
        if (installed.errors.length === 0) return installed;
      }
      return {
        errors: [
          {
            text: `"${args.path}" is a Node module, and rules run in a sandbox without Node. Use what the sandbox has (URL, crypto.subtle, TextEncoder, ctx.fetch, …) or a package that needs no Node`,
          },
        ],
      };
    });
  },
};

function problemOf(message: Message, baseDir: string): Problem {
  const { location } = message;
  if (location === null) return { file: "", line: 0, column: 0, text: message.text, frame: "" };
  const file = path.isAbsolute(location.file) ? path.relative(baseDir, location.file) : location.file;
  return located(baseDir, file, location.line, location.column + 1, message.text);
}

/** A problem with its code frame, as far as the file can be read. */
export function located(baseDir: string, file: string, line: number, column: number, text: string): Problem {
  const absolute = path.resolve(baseDir, file);
  const frame = line > 0 && existsSync(absolute) ? codeFrame(readFileSync(absolute, "utf8"), line, column) : "";
  return { file: file.split(path.sep).join("/"), line, column, text, frame };
}
