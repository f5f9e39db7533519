/** `sluice init [dir]`: a working project. Nothing that is there already is overwritten. */
import { existsSync } from "node:fs";
import { lstat, mkdir, realpath, symlink, writeFile } from "node:fs/promises";
import path from "node:path";
import { isCheckout, packageRoot } from "./package-root.ts";
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
    `  ${commandName()} check   # compile, type-check, validate`,
    `  ${commandName()} test    # run the rule test`,
    `  ${commandName()} dev     # serve it on http://127.0.0.1:8080; edit rules/hello.ts and reload`,
  ]);
  return 0;
}

function commandName(): string {
  return isCheckout ? `node ${path.join(packageRoot, "runtime/cli/sluice.js")}` : "npx sluice";
}

/** `import … from "sluice"` must resolve at once, without an install: the same link that npm makes for a `file:` dependency. */
async function linkPackage(folder: string): Promise<void> {
  const modules = path.join(folder, "node_modules");
  const link = path.join(modules, "sluice");
  await mkdir(modules, { recursive: true });
  const there = await lstat(link).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return null;
    throw error;
  });
  if (there === null) await symlink(packageRoot, link, "junction");
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
    "sluice.config.ts": `import { defineConfig } from "sluice"

export default defineConfig({
  listeners: [{ host: "127.0.0.1", port: 8080 }],
  upstreams: {
    // The server behind the gateway. Requests reach it after the rules have had their say.
    site: { targets: ["http://127.0.0.1:9001"] },
  },
  rules: "./rules",
  vars: { greeting: "hello" },
})
`,
    "rules/hello.ts": `import { defineRule, respond } from "sluice"

// Answers /hello by itself, and marks every response that passes.
export default defineRule({
  onRequest(req, ctx) {
    if (req.path === "/hello") return respond(200, \`\${String(ctx.vars["greeting"])}, \${req.query.get("name") ?? "world"}\\n\`)
    req.headers.set("x-gateway", "sluice")
  },
  onResponse(res) {
    res.headers.set("x-content-type-options", "nosniff")
  },
})
`,
    "rules/hello.test.ts": `import { expect, gateway, test } from "sluice/testing"

const gw = await gateway({
  rules: "./hello.ts",
  vars: { greeting: "hello" },
  upstreams: { site: () => ({ status: 200, body: "from the site" }) },
})

test("greets whoever asks", async () => {
  const res = await gw.request("/hello?name=Ada")
  expect(res.status).toBe(200)
  expect(res.text()).toBe("hello, Ada\\n")
  expect(res.upstreamRequests).toEqual([])
})

test("passes everything else to the site", async () => {
  const res = await gw.request("/")
  expect(res.text()).toBe("from the site")
  expect(res.headers.get("x-content-type-options")).toBe("nosniff")
  expect(res.upstreamRequests[0]?.headers.get("x-gateway")).toBe("sluice")
})
`,
    "tsconfig.json": `{
  // Rules run in a sandbox without Node and without a page: web-standard classes, nothing else.
  "compilerOptions": {
    "target": "es2024",
    "lib": ["es2024", "webworker", "webworker.iterable"],
    "types": [],
    "module": "esnext",
    "moduleResolution": "bundler",${conditions}
    "strict": true,
    "noEmit": true,
    "skipLibCheck": true
  },
  "include": ["sluice.config.ts", "rules"]
}
`,
    ".gitignore": "node_modules/\n.sluice/\n",
  };
}
