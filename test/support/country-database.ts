/** Databases in the MaxMind DB format (version 2.0 of its specification), as small as a test needs them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import ipaddr from "ipaddr.js";

/** What may stand in a record; a number is written as an unsigned one of 32 bits. */
export type Value = string | number | readonly Value[] | { readonly [key: string]: Value };

export interface DatabaseShape {
  readonly ipVersion?: 4 | 6;
  /** Bits of one half of a node. */
  readonly recordSize?: 24 | 28 | 32;
  readonly type?: string;
  readonly builtUnixMs?: number;
  /** Puts other bytes into the data section. */
  readonly damaged?: boolean;
}

type Node = [left: Node | Leaf | null, right: Node | Leaf | null];
interface Leaf {
  readonly offset: number;
}

const MARKER = Buffer.from("\xab\xcd\xefMaxMind.com", "latin1");
const SEPARATOR_BYTES = 16;

/** Network (`203.0.113.0/24`, `2001:db8::/32`) → its country, or its whole record. Networks may not overlap. */
export function countryDatabase(networks: Readonly<Record<string, Value>>, shape: DatabaseShape = {}): Buffer {
  const { ipVersion = 6, recordSize = 24, type = "Test-Country", builtUnixMs = Date.UTC(2026, 10, 1), damaged = false } = shape;
  const root: Node = [null, null];
  const records: Buffer[] = [];
  let dataBytes = 0;
  for (const [network, value] of Object.entries(networks)) {
    const record = encoded(typeof value === "string" ? { country: { iso_code: value } } : value);
    insert(root, bitsOf(network, ipVersion), { offset: dataBytes });
    records.push(record);
    dataBytes += record.length;
  }
  const { tree, nodeCount } = treeOf(root, recordSize);
  const metadata = encoded({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: Math.floor(builtUnixMs / 1000),
    database_type: type,
    description: { en: "made by a test" },
    ip_version: ipVersion,
    languages: ["en"],
    node_count: nodeCount,
    record_size: recordSize,
  });
  const data = Buffer.concat(records);
  return Buffer.concat([tree, Buffer.alloc(SEPARATOR_BYTES), damaged ? data.fill(0) : data, MARKER, metadata]);
}

/** Path of such a file, taken away behind the tests. */
export function countryFile(t: { after(run: () => void): void }, networks: Readonly<Record<string, Value>>, shape?: DatabaseShape): string {
  const folder = mkdtempSync(path.join(tmpdir(), "sluice-countries-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = path.join(folder, "countries.mmdb");
  writeFileSync(file, countryDatabase(networks, shape));
  return file;
}

function bitsOf(network: string, ipVersion: 4 | 6): number[] {
  const [address, length] = ipaddr.parseCIDR(network);
  const bytes = address.toByteArray();
  const bits = bytes.flatMap((byte) => Array.from({ length: 8 }, (_, i) => (byte >> (7 - i)) & 1)).slice(0, length);
  // In a tree of IPv6, IPv4 stands below ::/96.
  return ipVersion === 6 && bytes.length === 4 ? [...Array.from({ length: 96 }, () => 0), ...bits] : bits;
}

function insert(root: Node, bits: readonly number[], leaf: Leaf): void {
  let at = root;
  for (const bit of bits.slice(0, -1)) {
    const next = (at[bit] ??= [null, null]);
    if (!Array.isArray(next)) throw new RangeError("networks overlap");
    at = next;
  }
  const last = bits.at(-1)!;
  if (at[last] !== null) throw new RangeError("networks overlap");
  at[last] = leaf;
}

/** Breadth first, so that the root is node 0. */
function treeOf(root: Node, recordSize: 24 | 28 | 32): { tree: Buffer; nodeCount: number } {
  const nodes = [root];
  const numbers = new Map<Node, number>([[root, 0]]);
  for (const node of nodes)
    for (const child of node)
      if (Array.isArray(child)) {
        numbers.set(child, nodes.length);
        nodes.push(child);
      }
  const nodeCount = nodes.length;
  const valueOf = (half: Node | Leaf | null): number =>
    half === null ? nodeCount : Array.isArray(half) ? numbers.get(half)! : nodeCount + SEPARATOR_BYTES + half.offset;
  const tree = Buffer.concat(nodes.map(([left, right]) => written(valueOf(left), valueOf(right), recordSize)));
  return { tree, nodeCount };
}

function written(left: number, right: number, recordSize: 24 | 28 | 32): Buffer {
  const bytes = Buffer.alloc(recordSize / 4);
  if (recordSize === 28) {
    // The byte in the middle holds the highest four bits of both.
    bytes.writeUIntBE(left & 0xff_ffff, 0, 3);
    bytes[3] = ((left >>> 24) << 4) | (right >>> 24);
    bytes.writeUIntBE(right & 0xff_ffff, 4, 3);
  } else {
    bytes.writeUIntBE(left, 0, recordSize / 8);
    bytes.writeUIntBE(right, recordSize / 8, recordSize / 8);
  }
  return bytes;
}

const TYPES = { string: 2, uint32: 6, map: 7, array: 11 } as const;

function encoded(value: Value): Buffer {
  if (typeof value === "string") {
    const text = Buffer.from(value);
    return Buffer.concat([control(TYPES.string, text.length), text]);
  }
  if (typeof value === "number") {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return Buffer.concat([control(TYPES.uint32, 4), bytes]);
  }
  if (Array.isArray(value)) return Buffer.concat([control(TYPES.array, value.length), ...value.map((item: Value) => encoded(item))]);
  const pairs = Object.entries(value);
  return Buffer.concat([control(TYPES.map, pairs.length), ...pairs.flatMap(([key, item]) => [encoded(key), encoded(item)])]);
}

/** Type in the highest three bits, or in a byte of its own when they cannot hold it; size behind it, up to 28 (enough here). */
function control(type: number, size: number): Buffer {
  if (size > 28) throw new RangeError(`a test's values are shorter than ${size}`);
  return type <= 7 ? Buffer.from([(type << 5) | size]) : Buffer.from([size, type - 7]);
}
