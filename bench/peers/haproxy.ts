/** HAProxy, one thread, with rules in its own config language. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { find, type Server } from "../load/processes.ts";
import { prefixes, type Work } from "../load/work.ts";
import type { Contender, Place } from "./contender.ts";

export const haproxy: Contender = {
  name: "haproxy",
  title: "HAProxy",
  hash: "xxh32",
  install: "sudo apt-get install haproxy",
  installed: () => find("haproxy") !== "",
  version: () => /version (\S+?)[-+ ]/.exec(spawnSync(find("haproxy"), ["-v"], { encoding: "utf8" }).stdout)?.[1] ?? "",
  takesPart: () => true,
  setUp,
};

function setUp(work: Work, place: Place): Server {
  const config = join(place.folder, "haproxy.cfg");
  writeFileSync(config, configText(work, place));
  return {
    name: haproxy.name,
    command: [find("haproxy"), "-db", "-q", "-f", config],
    port: place.port,
    ...(work.accessLog ? { outputFile: join(place.folder, "access.log") } : {}),
  };
}

function configText(work: Work, { folder, port, originPort }: Place): string {
  return `global
  nbthread 1
  maxconn 8192
  ${work.accessLog ? "log stdout format raw local0 info" : ""}
defaults
  mode http
  timeout connect 5s
  timeout client 60s
  timeout server 60s
  http-reuse always
  option forwardfor
  ${work.accessLog ? "log global\n  option httplog" : ""}
frontend clients
  bind 127.0.0.1:${port} backlog 4096
  http-request set-header X-Forwarded-Proto http
  http-request set-header X-Forwarded-Host %[req.hdr(host)]
${hookLines(work, folder)}  default_backend origin
backend origin
  server one 127.0.0.1:${originPort}
`;
}

/** Many rules are one prefix tree (map_beg), as HAProxy's own manual advises; a single one is a comparison. */
function hookLines(work: Work, folder: string): string {
  if (work.hooks === "none") return "";
  const lines: string[] = [];
  if (work.rules === 1) lines.push(`acl matched path_beg ${prefixes(work)[0]}`);
  else {
    const map = join(folder, "rules.map");
    writeFileSync(
      map,
      `${prefixes(work)
        .map((prefix, i) => `${prefix} ${i}`)
        .join("\n")}\n`,
    );
    lines.push(`http-request set-var(txn.rule) path,map_beg(${map})`, "acl matched var(txn.rule) -m found");
  }
  lines.push(
    "acl first_half var(txn.bucket) -m int lt 50",
    "http-request set-var(txn.bucket) req.hdr(user-agent),xxh32,mod(100) if matched",
    "http-request set-var(txn.variant) str(a) if matched first_half",
    "http-request set-var(txn.variant) str(b) if matched !first_half",
    "http-request set-header X-Variant %[var(txn.variant)] if matched",
    "http-request del-header X-Debug if matched",
    // Last: the path is what `matched` looks at.
    String.raw`http-request replace-path /[^/]+/(.*) /new/\1 if matched`,
  );
  if (work.hooks === "both") {
    lines.push(
      "acl has_variant var(txn.variant) -m found",
      "http-response set-header X-Variant %[var(txn.variant)] if has_variant",
      "http-response del-header X-Trace-Id if has_variant",
    );
  }
  return lines.map((line) => `  ${line}\n`).join("");
}
