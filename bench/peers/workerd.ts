/** workerd, the runtime of Cloudflare Workers: the same rule as a fetch handler before the origin. */
import { spawnSync } from "node:child_process";
import { existsSync, globSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Server } from "../load/processes.ts";
import { prefixes, type Work } from "../load/work.ts";
import type { Contender, Place } from "./contender.ts";

/** Git-ignored: too large a download to be a dependency. */
const INSTALLED = join(import.meta.dirname, "installed");

export const workerd: Contender = {
  name: "workerd",
  title: "workerd",
  hash: "FNV-1a",
  install: "npm install --prefix bench/peers/installed workerd",
  installed: () => program() !== "",
  version: () => /workerd (\S+)/.exec(spawnSync(program(), ["--version"], { encoding: "utf8" }).stdout)?.[1] ?? "",
  // It writes no access log.
  takesPart: ({ accessLog }) => !accessLog,
  setUp,
};

/** The program itself rather than the package's starter, which would be one more process in the tree. */
function program(): string {
  return globSync(join(INSTALLED, "node_modules/@cloudflare/workerd-*/bin/workerd")).find((file) => existsSync(file)) ?? "";
}

function setUp(work: Work, { folder, port, originPort }: Place): Server {
  const config = join(folder, "workerd.capnp");
  writeFileSync(join(folder, "worker.js"), workerText(work));
  writeFileSync(
    config,
    `using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [(name = "main", worker = .main), (name = "origin", external = (address = "127.0.0.1:${originPort}", http = ()))],
  sockets = [(name = "clients", address = "127.0.0.1:${port}", http = (), service = "main")],
);
const main :Workerd.Worker = (
  modules = [(name = "worker.js", esModule = embed "worker.js")],
  compatibilityDate = "2026-01-01",
  bindings = [(name = "ORIGIN", service = "origin")],
);
`,
  );
  return { name: workerd.name, command: [program(), "serve", config], port };
}

function workerText(work: Work): string {
  if (work.hooks === "none") return "export default { fetch: (request, env) => env.ORIGIN.fetch(request) }\n";
  const isMatch =
    work.rules === 1
      ? "const matches = (path) => path.startsWith('/old/');"
      : `const PREFIXES = new Set(${JSON.stringify(prefixes(work))});\nconst matches = (path) => PREFIXES.has(path.slice(0, path.indexOf('/', 1) + 1));`;
  const response = `const copy = new Response(response.body, response);
    copy.headers.set('x-variant', variant);
    copy.headers.delete('x-trace-id');
    return copy;`;
  return `${isMatch}
function variantOf(text) {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  return (hash >>> 0) % 100 < 50 ? 'a' : 'b';
}
export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    if (!matches(url.pathname)) return env.ORIGIN.fetch(request);
    const variant = variantOf(request.headers.get('user-agent') ?? '');
    url.pathname = '/new/' + url.pathname.slice(url.pathname.indexOf('/', 1) + 1);
    const changed = new Request(url, request);
    changed.headers.set('x-variant', variant);
    changed.headers.delete('x-debug');
    changed.headers.set('x-forwarded-proto', 'http');
    changed.headers.set('x-forwarded-host', url.host);
    const response = await env.ORIGIN.fetch(changed);
    ${work.hooks === "both" ? response : "return response;"}
  },
};
`;
}
