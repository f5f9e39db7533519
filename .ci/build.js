/**
 * Builds `dist/` for the npm package: JavaScript and declarations from `sdk/` and `runtime/`, in the same folders. Node strips no
 * types below `node_modules`, so a package must carry JavaScript; a checkout needs none of this.
 */
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, "dist");

function filesBelow(folder) {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

rmSync(dist, { recursive: true, force: true });
const tsc = spawnSync(join(root, "node_modules", ".bin", "tsc"), ["-p", join(root, ".ci", "tsconfig.build.json")], { stdio: "inherit" });
if (tsc.status !== 0) {
  process.stderr.write(`build: tsc failed (${tsc.error?.message ?? `exit code ${tsc.status}`}); nothing was built\n`);
  process.exit(1);
}

// tsc rewrites the names of imported files in JavaScript, and leaves them in declarations.
const declarations = filesBelow(dist).filter((file) => file.endsWith(".d.ts"));
for (const file of declarations) {
  const text = readFileSync(file, "utf8");
  writeFileSync(file, text.replaceAll(/((?:from|import) "|import\(")(\.[^"]*)\.ts"/g, '$1$2.js"'));
}

// What is read at run time beside code: pages, scripts of the store, schemas.
const assets = filesBelow(join(root, "runtime")).filter((file) => !/\.(ts|md)$/.test(file) && !file.endsWith(join("cli", "sluice.js")));
for (const file of assets) {
  const target = join(dist, file.slice(root.length + 1));
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(file, target);
}
// The kernel is a script for isolates: bundled here, so that an installed package neither bundles it anew nor needs its sources.
const kernelFile = join(dist, "runtime/sandbox/kernel/kernel.js");
const script = `import { writeFileSync } from "node:fs"; import { stop } from "esbuild"; import { bundle } from ${JSON.stringify(join(root, "runtime/sandbox/kernel/build.ts"))}; writeFileSync(${JSON.stringify(kernelFile)}, await bundle()); await stop()`;
const kernel = spawnSync(process.execPath, ["--conditions=sluice-source", "--input-type=module", "--eval", script], { stdio: "inherit", cwd: root });
if (kernel.status !== 0) {
  process.stderr.write("build: the kernel could not be bundled\n");
  process.exit(1);
}

process.stdout.write(`build: dist/ holds ${filesBelow(dist).length} files\n`);
