/** Which addresses a rule's outgoing call may reach (server-side request forgery). */
import { networkInterfaces } from "node:os";
import ipaddr from "ipaddr.js";

/** An address that the public internet routes to. Private, loopback, link-local, carrier, reserved, mapped, translated: not. */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  // `process` unwraps IPv4-mapped IPv6 (::ffff:10.0.0.1), which would hide a private address otherwise.
  return ipaddr.process(address).range() === "unicast";
}

/** host:port pairs of the gateway itself (listeners, admin): a rule that called them could loop or reach the admin API. */
export class OwnAddresses {
  readonly #ports: ReadonlyMap<number, readonly string[]>;

  constructor(listeners: readonly { host: string; port: number }[]) {
    const ports = new Map<number, string[]>();
    for (const { host, port } of listeners) ports.set(port, [...(ports.get(port) ?? []), host]);
    this.#ports = ports;
  }
  has(address: string, port: number): boolean {
    const hosts = this.#ports.get(port);
    if (!hosts) return false;
    return hosts.some((host) => host === address || (isWildcard(host) && isLocal(address)));
  }
}

function isWildcard(host: string): boolean {
  return host === "0.0.0.0" || host === "::" || host === "";
}

function isLocal(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  if (ipaddr.process(address).range() === "loopback") return true;
  return Object.values(networkInterfaces()).some((entries) => entries?.some((entry) => entry.address === address));
}
