import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { type CompileResult, createCompiler } from "../../runtime/compile/compile.ts";
import { resolveConfig } from "../../runtime/config/config.ts";
import type { ResolvedConfig } from "../../runtime/config/resolved.ts";

/** A project in a folder of its own, gone when the test is over. */
export class Project implements AsyncDisposable {
  readonly folder: string;
  readonly config: ResolvedConfig;

  private constructor(folder: string, config: ResolvedConfig) {
    this.folder = folder;
    this.config = config;
  }

  /** `files` by path below the project; `below` puts the project so many folders deep. */
  static async open(files: Readonly<Record<string, string>>, options: { config?: Record<string, unknown>; below?: string } = {}): Promise<Project> {
    const folder = path.join(await mkdtemp(path.join(tmpdir(), "sluice-compile-")), options.below ?? "");
    await mkdir(path.join(folder, "rules"), { recursive: true });
    for (const [name, text] of Object.entries(files)) await put(folder, name, text);
    const value = { upstreams: { site: { targets: ["http://127.0.0.1:9001"] } }, rules: "./rules", ...options.config };
    return new Project(folder, resolveConfig(value, { baseDir: folder, file: "", env: { JWT_KEY: "value-of-the-secret" } }));
  }

  async put(name: string, text: string): Promise<void> {
    await put(this.folder, name, text);
  }

  async compile(): Promise<CompileResult> {
    await using compiler = createCompiler(this.config);
    return await compiler.rebuild();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.folder, { recursive: true, force: true });
  }
}

async function put(folder: string, name: string, text: string): Promise<void> {
  const file = path.join(folder, name);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, text);
}

/** The only problem there is, or a complaint. */
export function onlyProblem(result: CompileResult): CompileResult["problems"][number] {
  if (result.problems.length !== 1 || result.release !== null) throw new Error(`one problem is expected, found ${JSON.stringify(result.problems, null, 1)}`);
  return result.problems[0]!;
}
