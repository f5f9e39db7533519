/** Starts a sandbox process under every guard that stands outside it. README.md says what each one is for. */
import { execFile, spawn, type ChildProcess } from "node:child_process";
import fs from "node:fs";
import { createRequire } from "node:module";
import type net from "node:net";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { GatewayError } from "../errors.ts";
import { processFile } from "./process-file.ts";

/** "nobody" and "nogroup": owns nothing, and may signal nothing of ours. */
const UNPRIVILEGED_ID = 65534;
const STDERR_LIMIT_UNITS = 8 * 1024;
const PRLIMIT_TIMEOUT_MS = 2000;
const PRLIMIT = ["/usr/bin/prlimit", "/bin/prlimit"].find((file) => fs.existsSync(file)) ?? "";

export interface SpawnOptions {
  /** The process's module; left out: `process/main`, as `process-file` has it. */
  readonly file?: string;
  /** RLIMIT_DATA. */
  readonly dataLimitBytes: number;
  readonly warn: (text: string) => void;
}

export interface Spawned {
  readonly child: ChildProcess;
  readonly pid: number;
  readonly pipe: net.Socket;
  /** Moves its RLIMIT_DATA. */
  moveDataLimit(bytes: number): Promise<void>;
  /** The last of what it wrote on stderr: why V8 gave up, mostly. */
  stderr(): string;
}

/**
 * `exec` keeps the pid; `ulimit -c 0`: a core would hold secrets. setpriv lets the kernel end the process with its worker, even while it
 * spins, and takes the way to new privileges; where util-linux's is missing, the end of the pipe must do.
 */
const SCRIPT = [
  "ulimit -c 0",
  'ulimit -S -d "$1" || exit 97',
  '[ "$2" = fixed ] && ulimit -H -d "$1"',
  "shift 2",
  'if setpriv --pdeathsig KILL --no-new-privs true 2>/dev/null; then exec setpriv --pdeathsig KILL --no-new-privs /usr/bin/env -i "$@"; fi',
  // The shell has set PWD and more.
  'exec /usr/bin/env -i "$@"',
].join("\n");

/** Can the limit of a running process be moved? */
export const canMoveLimits = PRLIMIT !== "";

export function spawnSandbox(options: SpawnOptions): Spawned {
  const file = fs.realpathSync(options.file ?? processFile());
  const node = fs.realpathSync(process.execPath);
  const readable = readablePaths(file);
  const args = [
    "--no-warnings",
    "--permission",
    "--allow-addons",
    ...readable.map((entry) => `--allow-fs-read=${entry}`),
    // isolated-vm's loader asks for it, to tell musl from glibc.
    "--allow-fs-read=/etc/alpine-release",
    // isolated-vm refuses to run beside Node's start-up snapshot.
    "--no-node-snapshot",
    // As for workers: what is born old keeps what it points to.
    "--no-allocation-site-pretenuring",
    // node:sqlite would write files past the permission model.
    "--no-experimental-sqlite",
    file,
  ];
  const identity = unprivileged([node, file, ...readable], options.warn);
  const limitKib = String(Math.ceil(options.dataLimitBytes / 1024));
  const child = spawn("/bin/sh", ["-c", SCRIPT, "sandbox", limitKib, canMoveLimits ? "movable" : "fixed", node, ...args], {
    cwd: "/",
    env: {},
    stdio: ["ignore", "ignore", "pipe", "pipe"],
    ...identity,
  });
  // A failed spawn has no pid and says why in 'error'.
  if (child.pid === undefined) {
    child.on("error", (error) => options.warn(`a sandbox process could not be started: ${error.message}`));
    throw new GatewayError("SANDBOX_UNAVAILABLE", "the system refused another process");
  }
  const { pid } = child;
  return { child, pid, pipe: child.stdio[3] as net.Socket, moveDataLimit: (bytes) => moveDataLimit(pid, bytes, identity), stderr: tailOf(child) };
}

/** By its own user: for another's process even root needs CAP_SYS_RESOURCE, which containers rarely have. */
function moveDataLimit(pid: number, bytes: number, identity: { readonly uid?: number; readonly gid?: number }): Promise<void> {
  return new Promise((resolve, reject) => {
    execFile(PRLIMIT, ["--pid", String(pid), `--data=${Math.ceil(bytes)}:`], { ...identity, cwd: "/", env: {}, timeout: PRLIMIT_TIMEOUT_MS }, (error) => {
      if (error === null) resolve();
      else reject(new GatewayError("SANDBOX_UNAVAILABLE", `prlimit: ${error.message}`, { cause: error }));
    });
  });
}

function tailOf(child: ChildProcess): () => string {
  let text = "";
  child.stderr?.setEncoding("latin1").on("data", (more: string) => void (text = (text + more).slice(-STDERR_LIMIT_UNITS)));
  return () => text;
}

function ownFile(name: string): string {
  return fileURLToPath(new URL(name + path.extname(fileURLToPath(import.meta.url)), import.meta.url));
}

/** Real paths that the process must read: its own modules, the addon and its loader, and what Node reads to learn a module's kind. */
function readablePaths(file: string): string[] {
  const room = fs.realpathSync(path.dirname(fileURLToPath(import.meta.url)));
  const require = createRequire(path.join(room, "spawn.js"));
  const addon = path.dirname(fs.realpathSync(require.resolve("isolated-vm")));
  const loader = path.dirname(fs.realpathSync(createRequire(path.join(addon, "isolated-vm.js")).resolve("node-gyp-build")));
  const release = fs.realpathSync(ownFile("../compile/release"));
  const inside = file.startsWith(room + path.sep) ? [] : [file];
  return [`${room}/`, release, ...inside, `${addon}/`, `${loader}/`, ...packageFiles(file), ...packageFiles(release)].filter(
    (entry, index, all) => all.indexOf(entry) === index,
  );
}

function packageFiles(file: string): string[] {
  const files: string[] = [];
  for (let folder = path.dirname(file); ; folder = path.dirname(folder)) {
    const candidate = path.join(folder, "package.json");
    files.push(candidate);
    if (fs.existsSync(candidate) || folder === path.dirname(folder)) return files;
  }
}

const warned = new Set<string>();

/** Another uid when we are root, so that not even a broken-out rule may touch or signal the gateway. */
function unprivileged(paths: readonly string[], warn: (text: string) => void): { uid?: number; gid?: number } {
  if (process.getuid?.() !== 0) return {};
  const unreadable = paths.find((entry) => fs.existsSync(entry) && !othersMayRead(entry));
  if (unreadable === undefined) return { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID };
  if (!warned.has(unreadable)) {
    warned.add(unreadable);
    warn(
      `sandboxes run as root, because uid ${UNPRIVILEGED_ID} cannot read ${unreadable}: make it and the folders above it readable for all, or do not start Sluice as root`,
    );
  }
  return {};
}

function othersMayRead(entry: string): boolean {
  for (let at = path.resolve(entry); ; at = path.dirname(at)) {
    const mode = fs.statSync(at).mode;
    const needed = at === path.resolve(entry) && !fs.statSync(at).isDirectory() ? 0o004 : 0o001;
    if ((mode & needed) === 0) return false;
    if (at === path.dirname(at)) return true;
  }
}
