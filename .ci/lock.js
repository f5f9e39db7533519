import { readFileSync, rmSync, writeFileSync } from "node:fs";

const POLL_MS = 200;

/**
 * Runs `work` while holding the lock file `path`, so that two scripts started at once don't install into one folder. The file
 * holds its owner's process id; a lock whose owner is gone is taken over.
 */
export function withLock(path, { waitMs, onWait }, work) {
  const giveUpAt = Date.now() + waitMs;
  let waitingFor = 0;
  for (;;) {
    const owner = tryLock(path);
    if (owner === process.pid) break;
    if (owner === 0) continue;
    if (Date.now() > giveUpAt) throw new Error(`${path} is still held by process ${owner} after ${waitMs / 60_000} minutes`);
    if (owner !== waitingFor) onWait((waitingFor = owner));
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, POLL_MS);
  }
  try {
    return work();
  } finally {
    rmSync(path, { force: true });
  }
}

/** This process's id when the lock is ours, the owner's when it is held, 0 when a stale one was removed. */
function tryLock(path) {
  try {
    writeFileSync(path, String(process.pid), { flag: "wx" });
    return process.pid;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
  }
  const owner = readOwner(path);
  if (owner === 0 || isAlive(owner)) return owner;
  rmSync(path, { force: true });
  return 0;
}

function readOwner(path) {
  try {
    // An empty file: its owner has made it and not yet written its number.
    return Number(readFileSync(path, "utf8")) || 1;
  } catch (error) {
    if (error.code === "ENOENT") return 0;
    throw error;
  }
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}
