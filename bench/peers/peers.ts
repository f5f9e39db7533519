/** Everyone who takes part, Sluice first. */
import { caddy } from "./caddy.ts";
import type { Contender } from "./contender.ts";
import { haproxy } from "./haproxy.ts";
import { nginx, nginxLua, nginxNjs } from "./nginx.ts";
import { sluice } from "./sluice.ts";
import { workerd } from "./workerd.ts";

export const CONTENDERS: readonly Contender[] = [sluice, haproxy, nginx, nginxLua, nginxNjs, caddy, workerd];
