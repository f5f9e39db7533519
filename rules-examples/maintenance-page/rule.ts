import ipaddr from "ipaddr.js";
import { defineRule, respond } from "sluice";

declare module "sluice" {
  interface Vars {
    readonly maintenance?: {
      /** The switch. */
      readonly on: boolean;
      /** When it will be over, as in `2026-03-01T06:00:00Z`. Left out: nobody knows, ask again in ten minutes. */
      readonly until?: string;
      /** Addresses and CIDR blocks that pass all the same. */
      readonly allow?: readonly string[];
    };
  }
}

const ASK_AGAIN_S = 600;

export default defineRule({
  // A load balancer that asks for health must not take the gateway out.
  when: { not: { path: "/healthz" } },
  // Before everything else: no login, no redirect, no A/B split of a shop that is closed.
  order: -1000,
  onRequest(req, ctx) {
    const { maintenance } = ctx.vars;
    if (!maintenance?.on) return;
    if (passes(ctx.client.address, maintenance.allow ?? [])) return;

    const end = maintenance.until === undefined ? null : new Date(maintenance.until);
    const over = end === null || end.getTime() <= ctx.now();
    const headers = {
      // Either form is good (RFC 9110 section 10.2.3). A date that has passed would call everyone back at once.
      "retry-after": over ? String(ASK_AGAIN_S) : end.toUTCString(),
      "cache-control": "no-store",
    };
    if (req.headers.get("accept")?.includes("text/html"))
      return respond(503, page(over ? null : end), { ...headers, "content-type": "text/html; charset=utf-8" });
    return respond(503, { error: "closed for maintenance" }, headers);
  },
});

function passes(address: string, allow: readonly string[]): boolean {
  if (!ipaddr.isValid(address)) return false;
  // An IPv4 client of an IPv6 socket is written as ::ffff:192.0.2.7; `process` makes it IPv4 again.
  const client = ipaddr.process(address);
  return allow.some((entry) => {
    const [network, bits] = entry.includes("/") ? ipaddr.parseCIDR(entry) : [ipaddr.process(entry), null];
    return network.kind() === client.kind() && client.match(network, bits ?? (network.kind() === "ipv4" ? 32 : 128));
  });
}

/** Needs nothing from the origin: the origin is what is away. */
function page(end: Date | null): string {
  const when =
    end === null
      ? "We will be back soon."
      : `We expect to be back by <time datetime="${end.toISOString()}">${end.toISOString().slice(0, 16).replace("T", ", ")} UTC</time>.`;
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<title>Closed for a moment</title>
<style>body{font:18px/1.6 Georgia,serif;max-width:34rem;margin:20vh auto;padding:0 1.5rem;color:#33302b;background:#f7f3ec}h1{font-size:2rem}</style>
<h1>We are rearranging the shelves</h1>
<p>The shop is closed for maintenance. ${when}</p>
</html>
`;
}
