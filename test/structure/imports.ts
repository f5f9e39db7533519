/** Who imports whom, read from the sources: values as esbuild sees them once types are stripped, types by their keyword. */
import { build } from "esbuild";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";

export const root = join(import.meta.dirname, "..", "..");

export interface Import {
  /** Path from the root with "/": `runtime/proxy/fields.ts`. */
  readonly from: string;
  /** The same for files of the project; a package's name or `node:…` otherwise. */
  readonly to: string;
  readonly kind: "value" | "type";
}

export function sourceFiles(...folders: string[]): string[] {
  return folders.flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
      // What a conformance run installed for itself is not ours.
      .filter((name) => /\.(ts|js)$/.test(name) && !name.endsWith(".d.ts") && !name.split(sep).includes("node_modules"))
      .map((name) => join(folder, name).split(sep).join("/"))
      .sort(),
  );
}

const TYPE_IMPORT = /^\s*(?:import|export)\s+type\b[^;]*?\bfrom\s+"([^"]+)"/gm;

/** All imports of these files. Nothing needs to resolve: a wall is about names. */
export async function importsOf(files: readonly string[]): Promise<Import[]> {
  const found: Import[] = [];
  const target = (specifier: string, importer: string) => (specifier.startsWith(".") ? join(dirname(importer), specifier).split(sep).join("/") : specifier);
  for (const from of files) {
    for (const [, specifier] of readFileSync(join(root, from), "utf8").matchAll(TYPE_IMPORT)) found.push({ from, to: target(specifier!, from), kind: "type" });
  }
  await build({
    entryPoints: files.map((file) => join(root, file)),
    absWorkingDir: root,
    bundle: true,
    write: false,
    outdir: "nowhere",
    format: "esm",
    platform: "node",
    logLevel: "silent",
    tsconfigRaw: { compilerOptions: { verbatimModuleSyntax: true } },
    plugins: [
      {
        name: "note-imports",
        setup({ onResolve }) {
          onResolve({ filter: /.*/ }, ({ path, importer, kind }) => {
            if (kind === "entry-point") return undefined;
            const from = relative(root, importer).split(sep).join("/");
            found.push({ from, to: target(path, from), kind: "value" });
            return { path, external: true };
          });
        },
      },
    ],
  });
  return found;
}
