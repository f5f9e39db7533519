/** How many connections each client holds. A client is an IPv4 address or an IPv6 /64: that much of IPv6 belongs to one host or home. */
export class ClientCounts {
  readonly #counts = new Map<string, number>();

  of(key: string): number {
    return this.#counts.get(key) ?? 0;
  }
  enter(key: string): void {
    this.#counts.set(key, this.of(key) + 1);
  }
  leave(key: string): void {
    const left = this.of(key) - 1;
    if (left > 0) this.#counts.set(key, left);
    else this.#counts.delete(key);
  }
}

/** What to count `address` under. */
export function clientKey(address: string): string {
  if (!address.includes(":")) return address;
  if (address.startsWith("::ffff:") && address.includes(".")) return address.slice(7);
  const [head = ""] = address.split("%");
  const groups: string[] = [];
  const gap = head.indexOf("::");
  const before = gap < 0 ? head : head.slice(0, gap);
  if (before !== "") groups.push(...before.split(":"));
  if (gap >= 0) {
    const after = head.slice(gap + 2);
    const tail = after === "" ? [] : after.split(":");
    const width = tail.reduce((sum, group) => sum + (group.includes(".") ? 2 : 1), 0);
    while (groups.length + width < 8) groups.push("0");
    groups.push(...tail);
  }
  return `${groups.slice(0, 4).join(":")}::/64`;
}
