/**
 * Brings a fresh checkout to where the npm scripts can run: npm dependencies, Node 26 (the npm package `node`), and
 * the Debian packages named on the command line. Runs under Node 20 and uses nothing that must be installed first.
 * When nothing is missing it says nothing and ends within milliseconds.
 *
 *   node .ci/setup.js [chromium] [wrk] …
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { accessSync, constants, existsSync, lstatSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { withLock } from "./lock.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
const bundledNode = join(modules, ".bin", "node");
const stampFile = join(modules, ".sluice-setup.json");

const MINUTE_MS = 60_000;
const OLDEST_NODE_MAJOR = 20;

/** What is not on npm. `path`: an environment variable that may name the program, for machines that are not Debian. */
const DEBIAN_TOOLS = {
  chromium: { programs: ["chromium", "chromium-browser", "google-chrome"], path: "SLUICE_CHROMIUM", need: "The browser tests need Chromium" },
  "redis-server": { programs: ["redis-server"], path: "", need: "The store tests need Redis" },
  wrk: { programs: ["wrk"], path: "", need: "The benchmarks need the load generator wrk" },
  haproxy: { programs: ["haproxy"], path: "", need: "Comparing with HAProxy needs haproxy" },
  nginx: { programs: ["nginx"], path: "", need: "Comparing with nginx needs nginx" },
};

/** Ends setup with one sentence on standard error. */
class SetupFailure extends Error {}

function say(text) {
  process.stderr.write(`setup: ${text}\n`);
}

function run(command, args, { cwd = root, timeoutMs, env = cleanEnvironment() }) {
  const result = spawnSync(command, args, { cwd, env, stdio: ["ignore", 2, 2], timeout: timeoutMs });
  if (result.error) return result.error.code === "ETIMEDOUT" ? `no end after ${timeoutMs / MINUTE_MS} minutes` : result.error.message;
  if (result.status !== 0) return result.signal ? `ended by ${result.signal}` : `exit code ${result.status}`;
  return "";
}

/**
 * npm and the installer of Node 26 must not run on the Node 26 that they replace, and must not take over settings that
 * the outer `npm run` exports for its own use (its folder among them). Settings of the user (registry, proxy) stay.
 */
function cleanEnvironment() {
  const env = {};
  for (const [name, value] of Object.entries(process.env)) {
    if (!/^npm_(lifecycle|package|command|execpath|node_execpath|config_(local_|global_)?prefix|config_global)/i.test(name)) env[name] = value;
  }
  const path = (env.PATH ?? "").split(delimiter).filter((folder) => !folder.startsWith(join(modules)));
  if (!findProgram(["node"], path)) path.push(dirname(process.execPath));
  env.PATH = path.join(delimiter);
  return env;
}

function findProgram(names, folders = (process.env.PATH ?? "").split(delimiter)) {
  for (const folder of folders) {
    for (const name of names) {
      const file = join(folder || ".", name);
      try {
        accessSync(file, constants.X_OK);
        if (!lstatSync(file).isDirectory()) return file;
      } catch {
        continue;
      }
    }
  }
  return "";
}

/** Are exactly the packages of the lock file there, whoever installed them? npm writes what it did into a hidden lock file. */
function dependenciesPresent(lock) {
  const hidden = join(modules, ".package-lock.json");
  if (!existsSync(hidden)) return false;
  let installed;
  try {
    installed = JSON.parse(readFileSync(hidden, "utf8")).packages;
  } catch (error) {
    say(`node_modules/.package-lock.json cannot be read (${error.message}); installing again`);
    return false;
  }
  for (const [path, wanted] of Object.entries(lock.packages)) {
    if (path === "" || wanted.link) continue;
    const found = installed[path];
    if (!found) {
      if (wanted.optional) continue;
      return false;
    }
    if (found.version !== wanted.version || (wanted.integrity && found.integrity !== wanted.integrity) || !existsSync(join(root, path, "package.json")))
      return false;
  }
  return true;
}

function installDependencies() {
  say("installing the npm dependencies of package-lock.json (npm ci)");
  // Without install scripts: isolated-vm and esbuild ship what they need, and the Node package is set up below. isolated-vm's
  // script would compile C++ wherever npm itself runs on a Node that its prebuilt addon is not for.
  const failure = run("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"], { timeoutMs: 10 * MINUTE_MS });
  if (failure)
    throw new SetupFailure(`The npm dependencies could not be installed (npm ci: ${failure}); is the npm registry reachable, and is the folder writable?`);
}

function bundledNodeWorks(version) {
  const result = spawnSync(bundledNode, ["--version"], { encoding: "utf8", timeout: MINUTE_MS });
  return result.status === 0 && result.stdout.trim() === `v${version}`;
}

function installNode(version) {
  const folder = join(modules, "node");
  say(`installing Node ${version} into node_modules (npm package "node")`);
  const failure = run("node", ["installArchSpecificPackage.js"], { cwd: folder, timeoutMs: 10 * MINUTE_MS });
  if (failure) throw new SetupFailure(`Node ${version} could not be installed (its installer: ${failure}); is the npm registry reachable?`);
  mkdirSync(dirname(bundledNode), { recursive: true });
  rmSync(bundledNode, { force: true });
  symlinkSync(join("..", "node", "bin", "node"), bundledNode);
  if (!bundledNodeWorks(version)) {
    throw new SetupFailure(
      `Node ${version} was installed but does not run on this machine (${process.platform} ${process.arch}); node_modules/.bin/node --version shows why.`,
    );
  }
}

function readStamp() {
  try {
    return readFileSync(stampFile, "utf8");
  } catch {
    return "";
  }
}

function setUpNode() {
  const lockText = readFileSync(join(root, "package-lock.json"), "utf8");
  const stamp = `${JSON.stringify({ lock: createHash("sha256").update(lockText).digest("hex"), platform: process.platform, arch: process.arch })}\n`;
  const done = () => readStamp() === stamp && existsSync(bundledNode);
  if (done()) return;
  withLock(join(root, ".sluice-setup.lock"), { waitMs: 15 * MINUTE_MS, onWait: (pid) => say(`waiting for another setup (process ${pid})`) }, () => {
    if (done()) return;
    const lock = JSON.parse(lockText);
    const nodeVersion = lock.packages["node_modules/node"]?.version;
    if (!nodeVersion) throw new SetupFailure('package-lock.json does not name the npm package "node".');
    if (!dependenciesPresent(lock)) installDependencies();
    if (!bundledNodeWorks(nodeVersion)) installNode(nodeVersion);
    writeFileSync(stampFile, stamp);
  });
}

function setUpTool(name) {
  const tool = DEBIAN_TOOLS[name];
  if (!tool) throw new SetupFailure(`setup knows no tool "${name}"; it knows ${Object.keys(DEBIAN_TOOLS).join(", ")}.`);
  const found = () => (tool.path && process.env[tool.path]) || findProgram(tool.programs, [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"]);
  if (found()) return;
  const otherwise = tool.path ? `, or name the program in ${tool.path}` : "";
  const byHand = `${tool.need}: install it with "sudo apt-get install ${name}"${otherwise}.`;
  if (process.getuid?.() !== 0 || !findProgram(["apt-get"])) throw new SetupFailure(byHand);
  withLock("/tmp/sluice-apt.lock", { waitMs: 15 * MINUTE_MS, onWait: (pid) => say(`waiting for another setup (process ${pid})`) }, () => {
    if (found()) return;
    say(`installing Debian's ${name} (apt-get)`);
    const env = { ...cleanEnvironment(), DEBIAN_FRONTEND: "noninteractive" };
    const apt = (...args) => run("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=600", ...args], { env, timeoutMs: 15 * MINUTE_MS });
    const failure = apt("update") || apt("install", "--yes", "--no-install-recommends", name);
    if (failure || !found()) throw new SetupFailure(`${byHand.slice(0, -1)} (apt-get did not manage: ${failure || "the program is still missing"}).`);
  });
}

try {
  if (Number(process.versions.node.split(".")[0]) < OLDEST_NODE_MAJOR) {
    throw new SetupFailure(`Node ${process.versions.node} is too old to set this up; it needs Node ${OLDEST_NODE_MAJOR} or newer.`);
  }
  setUpNode();
  for (const name of process.argv.slice(2)) setUpTool(name);
} catch (error) {
  if (!(error instanceof SetupFailure)) throw error;
  say(error.message);
  process.exitCode = 1;
}
