/** What a hit of 1 KiB costs, beside nginx' proxy_cache and Varnish, in turns. */
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sluiceCommand } from "../load/checkout.ts";
import { type Measured, measure as load } from "../load/measure.ts";
import { answers, ask, end, find, freePorts, type Server, start } from "../load/processes.ts";
import { WRK_MISSING, wrkInstalled } from "../load/wrk.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";

const BODY_BYTES = 1024;
const CONNECTIONS = 50;
const OF_NGINX = 1.1;
const OF_VARNISH = 0.7;

export const cacheHit: Claim = {
  name: "cache-hit",
  asked: "a cache hit of 1 KiB, 50 connections: CPU per request at most 1.1 times nginx' proxy_cache and 0.7 times Varnish's",
  when: "always",
  measure,
};

interface Place {
  readonly folder: string;
  readonly port: number;
  readonly originPort: number;
}
type SetUp = (place: Place) => Server;

const sluice: SetUp = ({ folder, port, originPort }) => {
  const config = {
    listeners: [{ host: "127.0.0.1", port }],
    upstreams: { origin: { targets: [`http://127.0.0.1:${originPort}`] } },
    cache: { memory: "256MiB" },
    log: { access: "off" },
    admin: false,
  };
  writeFileSync(join(folder, "sluice.config.json"), JSON.stringify(config));
  return { name: "sluice", command: sluiceCommand("start", "--config", folder, "--workers", "1"), port };
};

const nginx: SetUp = ({ folder, port, originPort }) => {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map((kind) => `${kind}_temp_path ${folder}/${kind};`).join(" ");
  const text = `worker_processes 1;
daemon off;
pid ${folder}/nginx.pid;
error_log stderr error;
events { worker_connections 8192; }
http {
  ${temporary}
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 600s;
  proxy_cache_path ${folder}/cache levels=1:2 keys_zone=all:16m max_size=256m;
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { proxy_pass http://127.0.0.1:${originPort}; proxy_cache all; add_header X-Cache $upstream_cache_status; }
  }
}
`;
  writeFileSync(join(folder, "nginx.conf"), text);
  return { name: "nginx", command: [find("nginx"), "-p", folder, "-e", "stderr", "-c", join(folder, "nginx.conf")], port };
};

const varnish: SetUp = ({ folder, port, originPort }) => {
  const command = [find("varnishd"), "-F", "-n", join(folder, "varnish"), "-a", `127.0.0.1:${port}`, "-b", `127.0.0.1:${originPort}`, "-s", "malloc,256m"];
  return { name: "varnish", command, port };
};

async function once(setUp: SetUp, seconds: number, warmUpSeconds: number): Promise<Measured> {
  const folder = mkdtempSync(join(tmpdir(), "sluice-prove-"));
  const [port, originPort] = (await freePorts(2)) as [number, number];
  const command = [process.execPath, join(import.meta.dirname, "..", "load", "origin.ts"), String(originPort), String(BODY_BYTES)];
  const originServer = { name: "origin", command, port: originPort };
  const origin = start(originServer, "load");
  try {
    await answers(originServer, origin);
    // nginx, started by root, works as another user.
    chmodSync(folder, 0o755);
    const [measured] = await load(setUp({ folder, port, originPort }), [{ connections: CONNECTIONS, seconds, path: "/page" }], {
      warmUpSeconds,
      check: async (server) => {
        await ask(server.port, "/page");
        const second = await ask(server.port, "/page");
        if (!/^age: \d|x-cache: HIT/im.test(second)) throw new Error(`${server.name} does not answer from its cache: ${second.slice(0, 500)}`);
      },
    });
    return measured!;
  } finally {
    await end(origin);
    rmSync(folder, { recursive: true, force: true });
  }
}

async function measure({ short, say }: Proof): Promise<Finding> {
  if (!wrkInstalled()) return { verdict: "not measured", measured: WRK_MISSING };
  if (find("nginx") === "") return { verdict: "not measured", measured: 'nginx is missing: "sudo apt-get install nginx"' };
  const seconds = short ? 2 : 10;
  const rounds = short ? 1 : 3;
  const withVarnish = find("varnishd") !== "";
  const contenders = { sluice, nginx, ...(withVarnish ? { varnish } : {}) };
  const costs = new Map<string, number[]>();
  let errors = 0;
  for (let round = 0; round < rounds; round++) {
    const order = Object.entries(contenders);
    for (const [name, setUp] of round % 2 === 0 ? order : order.toReversed()) {
      const measured = await once(setUp, seconds, short ? 1 : 3);
      if (name === "sluice") errors += measured.errors;
      say(`  ${name}: ${measured.cpuUsPerRequest.toFixed(1)} µs CPU, ${measured.requestsPerSecond.toFixed(0)} requests/s`);
      costs.set(name, [...(costs.get(name) ?? []), measured.cpuUsPerRequest]);
    }
  }
  const median = (name: string): number => costs.get(name)!.toSorted((a, b) => a - b)[Math.floor(rounds / 2)]!;
  const own = median("sluice");
  const ofNginx = own / median("nginx");
  const ofVarnish = withVarnish ? own / median("varnish") : 0;
  const besideVarnish = withVarnish ? `Varnish ${median("varnish").toFixed(1)} µs: ${ofVarnish.toFixed(2)} of it` : "Varnish is not installed";
  return judged(`${own.toFixed(1)} µs CPU a hit; nginx ${median("nginx").toFixed(1)} µs: ${ofNginx.toFixed(2)} of it; ${besideVarnish}; ${errors} errors`, [
    errors > 0 && `${errors} errors`,
    ofNginx > OF_NGINX && `above ${OF_NGINX} of nginx`,
    ofVarnish > OF_VARNISH && `above ${OF_VARNISH} of Varnish`,
  ]);
}
