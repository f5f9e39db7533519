/** Certificates for tests: an authority, and what it signs (X.509 v3, RFC 5280), as PEM. */
import { createPrivateKey, generateKeyPairSync, sign } from "node:crypto";

export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

export interface CertificateSpec {
  readonly name: string;
  /** Left out: signs itself, and may sign others. */
  readonly by?: Certificate & { readonly name: string };
  readonly dns?: readonly string[];
  /** IPv4. */
  readonly addresses?: readonly string[];
}

const YEARS = 10;
/** ecdsa-with-SHA256 (RFC 5758). */
const ALGORITHM = seq(oid(1, 2, 840, 10045, 4, 3, 2));

export function makeCertificate({ name, by, dns = [], addresses = [] }: CertificateSpec): Certificate & { readonly name: string } {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const key = privateKey.export({ type: "pkcs8", format: "pem" }).toString();
  const year = new Date().getUTCFullYear();
  const names = [...dns.map((text) => der(0x82, Buffer.from(text))), ...addresses.map((text) => der(0x87, Buffer.from(text.split(".").map(Number))))];
  const extensions = [
    ...(by === undefined ? [seq(oid(2, 5, 29, 19), der(0x01, Buffer.from([0xff])), der(0x04, seq(der(0x01, Buffer.from([0xff])))))] : []),
    ...(names.length === 0 ? [] : [seq(oid(2, 5, 29, 17), der(0x04, seq(...names)))]),
  ];
  const statement = seq(
    der(0xa0, der(0x02, Buffer.from([2]))),
    der(0x02, Buffer.from([1 + Math.floor(Math.random() * 126), ...Array.from({ length: 7 }, () => Math.floor(Math.random() * 256))])),
    ALGORITHM,
    commonName(by?.name ?? name),
    seq(time(year - 1), time(year + YEARS)),
    commonName(name),
    publicKey.export({ type: "spki", format: "der" }),
    ...(extensions.length === 0 ? [] : [der(0xa3, seq(...extensions))]),
  );
  const signature = sign("sha256", statement, createPrivateKey(by?.key ?? key));
  return { name, cert: pem("CERTIFICATE", seq(statement, ALGORITHM, der(0x03, Buffer.concat([Buffer.from([0]), signature])))), key };
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const size = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
}

function seq(...members: readonly Buffer[]): Buffer {
  return der(0x30, Buffer.concat(members));
}

function oid(first: number, second: number, ...rest: readonly number[]): Buffer {
  const bytes = [first * 40 + second];
  for (const part of rest) {
    const groups = [part & 0x7f];
    for (let left = part >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(0x06, Buffer.from(bytes));
}

function commonName(name: string): Buffer {
  return seq(der(0x31, seq(oid(2, 5, 4, 3), der(0x0c, Buffer.from(name)))));
}

/** The first of January. */
function time(year: number): Buffer {
  return der(0x18, Buffer.from(`${year}0101000000Z`));
}

function pem(label: string, bytes: Buffer): string {
  return `-----BEGIN ${label}-----\n${bytes.toString("base64").replaceAll(/.{64}/g, "$&\n").trim()}\n-----END ${label}-----\n`;
}
