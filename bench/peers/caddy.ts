/** Caddy, on one core. Its config language has no hash, so it takes part in plain proxying only. */
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { find, type Server } from "../load/processes.ts";
import type { Work } from "../load/work.ts";
import type { Contender, Place } from "./contender.ts";

export const caddy: Contender = {
  name: "caddy",
  title: "Caddy",
  hash: "none",
  install: "sudo apt-get install caddy",
  installed: () => find("caddy") !== "",
  version: () => /v?(\d[\d.]*)/.exec(spawnSync(find("caddy"), ["version"], { encoding: "utf8" }).stdout)?.[1] ?? "",
  takesPart: ({ hooks }) => hooks === "none",
  setUp,
};

function setUp(work: Work, { folder, port, originPort }: Place): Server {
  const config = join(folder, "Caddyfile");
  const log = work.accessLog ? `log {\n    output file ${join(folder, "access.log")}\n  }` : "";
  writeFileSync(
    config,
    `{
  admin off
  auto_https off
}
http://:${port} {
  bind 127.0.0.1
  ${log}
  reverse_proxy 127.0.0.1:${originPort} {
    transport http {
      keepalive_idle_conns_per_host 1024
    }
  }
}
`,
  );
  const command = [find("caddy"), "run", "--config", config, "--adapter", "caddyfile"];
  return { name: caddy.name, command, port, env: { XDG_DATA_HOME: folder, XDG_CONFIG_HOME: folder } };
}
