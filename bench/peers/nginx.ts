/** nginx, one worker process: by its own directives, with Lua (LuaJIT), and with njs. */
import { spawnSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { find, type Server } from "../load/processes.ts";
import { prefixes, type Work } from "../load/work.ts";
import type { Contender, Place } from "./contender.ts";

/** The parts of the config in which the three differ. */
interface Dialect {
  readonly modules: readonly string[];
  readonly http: (work: Work, folder: string) => string;
  readonly server: (work: Work) => string;
  readonly location: (prefix: string, work: Work) => string;
}

export const nginx: Contender = contender(
  { name: "nginx", title: "nginx", hash: "MurmurHash2 (split_clients)", install: "sudo apt-get install nginx", takesPart: () => true },
  {
    modules: [],
    http: () => 'split_clients "$http_user_agent" $variant { 50% a; * b; }',
    server: ({ hooks }) => `proxy_set_header X-Variant $variant;
    proxy_set_header X-Debug "";
    ${hooks === "both" ? "proxy_hide_header X-Trace-Id; add_header X-Variant $variant;" : ""}`,
    location: (prefix) => `rewrite ^${prefix}(.*)$ /new/$1 break; proxy_pass http://origin;`,
  },
);

export const nginxLua: Contender = contender(
  { name: "nginx-lua", title: "nginx+Lua", hash: "FNV-1a", install: "sudo apt-get install nginx libnginx-mod-http-lua", takesPart: hasHooks },
  {
    modules: ["ndk_http_module.so", "ngx_http_lua_module.so"],
    http: () => `lua_package_path "/usr/share/lua/5.1/?.lua;;";
  init_by_lua_block {
    local bit = require "bit"
    local byte, sub = string.byte, string.sub
    local rule = {}
    local function variant_of(text)
      local hash = bit.tobit(0x811c9dc5)
      for i = 1, #text do
        hash = bit.bxor(hash, byte(text, i))
        -- Times 2^24 + 403, in two steps: a double cannot hold the product.
        hash = bit.tobit(bit.lshift(hash, 24) + hash * 403)
      end
      return hash % 4294967296 % 100 < 50 and "a" or "b"
    end
    function rule.request(prefix)
      local variant = variant_of(ngx.var.http_user_agent or "")
      ngx.ctx.variant = variant
      ngx.req.set_header("X-Variant", variant)
      ngx.req.clear_header("X-Debug")
      ngx.req.set_uri("/new/" .. sub(ngx.var.uri, #prefix + 1))
    end
    function rule.response()
      ngx.header["X-Variant"] = ngx.ctx.variant
      ngx.header["X-Trace-Id"] = nil
    end
    package.loaded.rule = rule
  }`,
    server: ({ hooks }) => (hooks === "both" ? 'header_filter_by_lua_block { require("rule").response() }' : ""),
    location: (prefix) => `rewrite_by_lua_block { require("rule").request("${prefix}") } proxy_pass http://origin;`,
  },
);

export const nginxNjs: Contender = contender(
  { name: "nginx-njs", title: "nginx+njs", hash: "FNV-1a", install: "sudo apt-get install nginx libnginx-mod-http-js", takesPart: hasHooks },
  {
    modules: ["ngx_http_js_module.so"],
    http: (_work, folder) => {
      writeFileSync(join(folder, "rule.js"), NJS_RULE);
      return `js_path "${folder}"; js_import rule from rule.js; js_set $variant rule.variant; js_set $target rule.target;`;
    },
    server: () => 'proxy_set_header X-Variant $variant; proxy_set_header X-Debug "";',
    // js_header_filter is allowed nowhere else.
    location: (_prefix, { hooks }) => `${hooks === "both" ? "js_header_filter rule.response; " : ""}proxy_pass http://origin$target$is_args$args;`,
  },
);

const NJS_RULE = `function variant(r) {
  const text = r.headersIn['User-Agent'] || '';
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619);
  return (hash >>> 0) % 100 < 50 ? 'a' : 'b';
}
function target(r) {
  return '/new/' + r.uri.slice(r.uri.indexOf('/', 1) + 1);
}
function response(r) {
  r.headersOut['X-Variant'] = r.variables.variant;
  delete r.headersOut['X-Trace-Id'];
}
export default { variant, target, response };
`;

function hasHooks(work: Work): boolean {
  return work.hooks !== "none";
}

function contender(about: Pick<Contender, "name" | "title" | "hash" | "install" | "takesPart">, dialect: Dialect): Contender {
  return {
    ...about,
    installed: () => find("nginx") !== "" && dialect.modules.every((module) => existsSync(join(modulesPath(), module))),
    version: () => /nginx\/(\S+)/.exec(nginxSays())?.[1] ?? "",
    setUp: (work, place) => setUp(about.name, dialect, work, place),
  };
}

function setUp(name: string, dialect: Dialect, work: Work, place: Place): Server {
  const config = join(place.folder, "nginx.conf");
  writeFileSync(config, configText(dialect, work, place));
  return { name, command: [find("nginx"), "-p", place.folder, "-e", "stderr", "-c", config], port: place.port };
}

function configText(dialect: Dialect, work: Work, { folder, port, originPort }: Place): string {
  const hooked = work.hooks !== "none";
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(" ");
  return `${dialect.modules.map((module) => `load_module ${join(modulesPath(), module)};\n`).join("")}worker_processes 1;
daemon off;
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections 8192; }
http {
  ${temporary}
  access_log ${work.accessLog ? join(folder, "access.log") : "off"};
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  upstream origin { server 127.0.0.1:${originPort}; keepalive 1024; keepalive_requests 1000000000; }
  proxy_http_version 1.1;
  # Bodies stay in memory, as everywhere else.
  proxy_max_temp_file_size 0;
  ${hooked ? dialect.http(work, folder) : ""}
  server {
    listen 127.0.0.1:${port} backlog=4096;
    proxy_set_header Connection "";
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;
    proxy_set_header X-Forwarded-Host $host;
    ${hooked ? dialect.server(work) : ""}
    location / { proxy_pass http://origin; }
${
  hooked
    ? prefixes(work)
        .map((prefix) => `    location ${prefix} { ${dialect.location(prefix, work)} }\n`)
        .join("")
    : ""
}  }
}
`;
}

function nginxSays(): string {
  return spawnSync(find("nginx"), ["-V"], { encoding: "utf8" }).stderr;
}

function modulesPath(): string {
  return /--modules-path=(\S+)/.exec(nginxSays())?.[1] ?? "/usr/lib/nginx/modules";
}
