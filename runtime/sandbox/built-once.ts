/**
 * What a checkout makes of its own sources, kept beside what npm installed until one of them changes: a process that starts reads it in a
 * millisecond instead of making it anew. A package carries it ready made, and never comes here.
 */
import fs from "node:fs";
import { createRequire } from "node:module";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { BuildOptions } from "esbuild";

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), "../..");
/** Where tools keep what they can make again; packages are found from there. */
const FOLDER = path.join(root, "node_modules/.cache/sluice");
const HEAD = "// made of ";
const MAY_NOT_WRITE: ReadonlySet<string> = new Set(["EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT"]);

/** Says which versions of packages and of esbuild there are: npm gives files of packages one and the same time. */
const LOCK_FILE = "package-lock.json";

/** A source as it was: its path from the root, when it was written, its size. */
type Source = readonly [file: string, mtimeMs: number, bytes: number];

interface Made {
  /** The options, as JSON. */
  readonly how: string;
  readonly sources: readonly Source[];
}

/** The file `name`, made with these options (one entry point, bundled). Null where nothing can be written. Throws what esbuild finds wrong. */
export function builtOnce(name: string, options: BuildOptions): string | null {
  const file = path.join(FOLDER, name);
  const how = JSON.stringify(options);
  if (isUpToDate(file, how)) return file;
  const { buildSync } = createRequire(import.meta.url)("esbuild") as typeof import("esbuild");
  const { outputFiles, metafile } = buildSync({ ...options, absWorkingDir: root, bundle: true, write: false, metafile: true, logLevel: "silent" });
  const made: Made = { how, sources: [LOCK_FILE, ...Object.keys(metafile.inputs)].map((source) => asItIs(source)) };
  // Others find all of it or what was there before.
  const part = `${file}.${process.pid}`;
  try {
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(part, `${HEAD}${JSON.stringify(made)}\n${outputFiles[0]!.text}`);
    // Whatever the umask says: a sandbox runs as another user.
    fs.chmodSync(part, 0o644);
    fs.renameSync(part, file);
  } catch (thrown) {
    if (MAY_NOT_WRITE.has((thrown as NodeJS.ErrnoException).code ?? "")) return null;
    throw thrown;
  }
  return file;
}

function asItIs(source: string): Source {
  const { mtimeMs, size } = fs.statSync(path.join(root, source));
  return [source, mtimeMs, size];
}

function isUpToDate(file: string, how: string): boolean {
  const made = madeOf(file);
  if (made === null) return false;
  return (
    made.how === how &&
    made.sources.every(([source, mtimeMs, bytes]) => {
      const now = fs.statSync(path.join(root, source), { throwIfNoEntry: false });
      return now?.mtimeMs === mtimeMs && now.size === bytes;
    })
  );
}

/** Null: there is none, or nothing that can be read, as after a power cut. It is made anew then. */
function madeOf(file: string): Made | null {
  if (!fs.existsSync(file)) return null;
  const [head = ""] = fs.readFileSync(file, "utf8").split("\n", 1);
  try {
    return JSON.parse(head.slice(HEAD.length)) as Made;
  } catch (thrown) {
    if (thrown instanceof SyntaxError) return null;
    throw thrown;
  }
}
