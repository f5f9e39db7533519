/**
 * Adds to package-lock.json the platform packages that npm left out. Optional dependencies for other systems that a registry does not
 * carry are omitted by `npm install`, and `npm ci` (npm 11.16 and later) then refuses the lock file as incomplete. The entries
 * carry the exact version but no checksum, and are never fetched on a system that they are not for. Run it after `npm install`.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const file = join(dirname(dirname(fileURLToPath(import.meta.url))), "package-lock.json");
const lock = JSON.parse(readFileSync(file, "utf8"));
const before = Object.keys(lock.packages).length;

for (const { optionalDependencies = {}, dev } of Object.values(lock.packages)) {
  for (const [name, version] of Object.entries(optionalDependencies)) {
    lock.packages[`node_modules/${name}`] ??= platformPackage(name, version, dev);
  }
}

/** What the name says: `@oxlint/binding-linux-x64-musl`, `@oxlint-tsgolint/darwin-arm64`. */
function platformPackage(name, version, dev) {
  const [os, cpu, ...abi] = name
    .split("/")
    .at(-1)
    .replace(/^binding-/, "")
    .split("-");
  const libc = abi.some((part) => part.startsWith("musl")) ? ["musl"] : abi.some((part) => part.startsWith("gnu")) ? ["glibc"] : undefined;
  return { version, cpu: [cpu], dev, libc, optional: true, os: [os] };
}

const { "": root, ...packages } = lock.packages;
lock.packages = { "": root, ...Object.fromEntries(Object.entries(packages).sort(([a], [b]) => (a < b ? -1 : 1))) };
writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
process.stdout.write(`package-lock.json: ${Object.keys(lock.packages).length - before} platform packages added\n`);
