#!/usr/bin/env node
/**
 * The `sluice` command. Plain JavaScript that an old Node can read: it finds a Node that is new enough and hands over to
 * the command line proper, from TypeScript in a checkout and from `dist/` in an installed package.
 */
import { spawn } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { constants } from "node:os";

const OLDEST_NODE_MAJOR = 24;
const packageRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const source = join(packageRoot, "runtime", "cli", "main.ts");
const built = join(packageRoot, "dist", "runtime", "cli", "main.js");
/** Of a checkout, whose sources Node strips of their types at each start: a command that only reads takes half the CPU with it. */
const compileCache = join(packageRoot, "node_modules", ".cache", "node-compile");

/** This process's own Node, or the one that came with the npm package `node`, wherever npm has put that. */
function findNode() {
  if (Number(process.versions.node.split(".")[0]) >= OLDEST_NODE_MAJOR) return process.execPath;
  const bundled = bundledNode();
  if (bundled) return bundled;
  fail(
    `sluice needs Node ${OLDEST_NODE_MAJOR} or newer; this is Node ${process.versions.node}, and the npm package "node" that should bring one is not installed (its install script may have been blocked: npm rebuild node).`,
  );
}

function bundledNode() {
  try {
    const manifest = createRequire(import.meta.url).resolve("node/package.json");
    const program = join(dirname(manifest), "bin", "node");
    return existsSync(program) ? program : "";
  } catch (error) {
    if (error.code === "MODULE_NOT_FOUND") return "";
    throw error;
  }
}

/** Inside `node_modules` Node strips no types, so sources count only in a checkout. */
function findMain() {
  if (existsSync(source)) return { file: source, flags: ["--conditions=sluice-source"], env: { NODE_COMPILE_CACHE: compileCache, ...process.env } };
  if (existsSync(built)) return { file: built, flags: [], env: process.env };
  const { version } = JSON.parse(readFileSync(join(packageRoot, "package.json"), "utf8"));
  fail(`sluice ${version} is incomplete: neither ${source} nor ${built} exists.`);
}

function fail(sentence) {
  process.stderr.write(`${sentence}\n`);
  process.exit(1);
}

const main = findMain();
const child = spawn(findNode(), [...main.flags, main.file, ...process.argv.slice(2)], { stdio: "inherit", env: main.env });
child.on("error", (error) => fail(`sluice could not be started: ${error.message}`));
for (const signal of ["SIGTERM", "SIGHUP", "SIGUSR2"]) process.on(signal, () => child.kill(signal));
process.on("SIGINT", () => {
  // From a terminal Ctrl-C reaches the child too; passing it on as well would ask it twice, which means "at once".
  if (!process.stdin.isTTY) child.kill("SIGINT");
});
child.on("exit", (code, signal) => process.exit(signal ? 128 + constants.signals[signal] : code));
