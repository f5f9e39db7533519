/** `sluice init [dir]`: a working project. Nothing that is there already is overwritten. */
import { existsSync } from "node:fs";
import { lstat, mkdir, realpath, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { isCheckout, packageRoot } from "./package-root.ts";
import { CONFIG_TEXT, EXPERIMENT_TEST_TEXT, EXPERIMENT_TEXT, RULE_TEST_TEXT, RULE_TEXT, tsconfigText } from "./project-text.ts";
import type { Terminal } from "./terminal.ts";

export async function init(dir: string, terminal: Terminal): Promise<number> {
  const folder = path.resolve(dir);
  await mkdir(folder, { recursive: true });
  const files = projectFiles(await realpath(folder));
  const taken = Object.keys(files).filter((name) => existsSync(path.join(folder, name)));
  if (taken.length > 0) {
    terminal.problem(`${folder} already holds ${taken.join(", ")}; sluice init overwrites nothing. Choose another folder: sluice init my-gateway`);
    return 1;
  }
  for (const [name, text] of Object.entries(files)) {
    const file = path.join(folder, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, text, { flag: "wx" });
  }
  await linkPackage(folder);
  terminal.result({ folder, files: Object.keys(files) }, () => [
    `made a project in ${folder}:`,
    ...Object.keys(files).map((name) => `  ${name}`),
    "",
    "next:",
    ...(dir === "." ? [] : [`  cd ${dir}`]),
    `  npx sluice check   # compile, type-check, validate`,
    `  npx sluice test    # run the tests of the rule and of the experiment`,
    `  npx sluice dev     # serve it on http://127.0.0.1:8080; edit rules/hello.ts and reload`,
  ]);
  return 0;
}

/** `import … from "sluice"` must resolve at once, without an install: the same link that npm makes for a `file:` dependency. */
async function linkPackage(folder: string): Promise<void> {
  const modules = path.join(folder, "node_modules");
  const link = path.join(modules, "sluice");
  await mkdir(modules, { recursive: true });
  await symlinkOnce(packageRoot, link);
  // What `npx sluice` and npm scripts look for.
  await mkdir(path.join(modules, ".bin"), { recursive: true });
  await symlinkOnce(path.join("..", "sluice", "runtime", "cli", "sluice.js"), path.join(modules, ".bin", "sluice"));
}

async function symlinkOnce(target: string, link: string): Promise<void> {
  const there = await lstat(link).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  });
  if (there === null) await symlink(target, link);
}

function projectFiles(folder: string): Record<string, string> {
  const linked = path.relative(folder, packageRoot).split(path.sep).join("/");
  const inside = packageRoot === path.join(folder, "node_modules", "sluice");
  const conditions = isCheckout
    ? `\n    "customConditions": ["sluice-source"],\n    "allowImportingTsExtensions": true,`
    : `\n    "allowImportingTsExtensions": true,`;
  return {
    ...(existsSync(path.join(folder, "package.json")) && inside
      ? {}
      : {
          "package.json": `${JSON.stringify(
            {
              name:
                path
                  .basename(folder)
                  .toLowerCase()
                  .replaceAll(/[^a-z0-9._-]+/g, "-") || "gateway",
              private: true,
              type: "module",
              scripts: { dev: "sluice dev", check: "sluice check", test: "sluice test", start: "sluice start" },
              dependencies: { sluice: `file:${linked}` },
            },
            null,
            2,
          )}\n`,
        }),
    "sluice.config.ts": CONFIG_TEXT,
    "rules/hello.ts": RULE_TEXT,
    "rules/hello.test.ts": RULE_TEST_TEXT,
    "rules/headline.ts": EXPERIMENT_TEXT,
    "rules/headline.test.ts": EXPERIMENT_TEST_TEXT,
    "tsconfig.json": tsconfigText(conditions),
    ".gitignore": "node_modules/\n.sluice/\n",
  };
}
