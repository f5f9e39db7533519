/** The key `admin`, but for its tokens: where the admin API listens, and with which certificates. Beyond this machine it speaks TLS or not at all. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { BlockList, isIP } from "node:net";
import path from "node:path";
import { shown } from "./problems.ts";
import type { AdminListenerConfig, AdminTlsConfig } from "./resolved.ts";
import type { ConfigInput } from "./schema.ts";
import type { StoreParts } from "./store.ts";

const DEFAULT_PORT = 9901;
const LOOPBACK = new BlockList();
LOOPBACK.addSubnet("127.0.0.0", 8, "ipv4");
LOOPBACK.addAddress("::1", "ipv6");

/** Null: none. */
export function adminOf(input: ConfigInput["admin"], parts: StoreParts): AdminListenerConfig | null {
  if (input === false) return null;
  const { host = "127.0.0.1", port = DEFAULT_PORT, tls } = input ?? {};
  if (tls !== undefined) return { host, port, tls: tlsOf(tls, parts) };
  const family = isIP(host);
  // What is no address is told as such elsewhere.
  if (family !== 0 && !LOOPBACK.check(host, family === 6 ? "ipv6" : "ipv4"))
    parts.report(
      ["admin", "host"],
      `found ${shown(host)} without admin.tls, expected a loopback address, or tls: { cert, key }: tokens would be read on the network`,
    );
  return { host, port };
}

type TlsInput = NonNullable<Exclude<ConfigInput["admin"], false | undefined>["tls"]>;

function tlsOf({ cert, key, clientCa }: TlsInput, parts: StoreParts): AdminTlsConfig {
  const at = (name: string): readonly string[] => ["admin", "tls", name];
  const read = (name: string, file: string): string => {
    try {
      return readFileSync(path.resolve(parts.baseDir, file), "utf8");
    } catch (error) {
      parts.report(at(name), `${shown(file)} cannot be read (${(error as NodeJS.ErrnoException).code})`);
      return "";
    }
  };
  const certificate = certificateIn(read("cert", cert), at("cert"), parts);
  checkKey(read("key", key), certificate, parts);
  if (clientCa !== undefined) certificateIn(read("clientCa", clientCa), at("clientCa"), parts);
  const absolute = (file: string): string => path.resolve(parts.baseDir, file);
  return { certFile: absolute(cert), keyFile: absolute(key), clientCaFile: clientCa === undefined ? "" : absolute(clientCa) };
}

function certificateIn(pem: string, at: readonly string[], { report }: StoreParts): X509Certificate | null {
  if (pem === "") return null;
  try {
    return new X509Certificate(pem);
  } catch {
    report(at, `found ${pem.includes("PRIVATE") ? "a private key" : "no certificate"}, expected a certificate in PEM (BEGIN CERTIFICATE)`);
    return null;
  }
}

function checkKey(pem: string, certificate: X509Certificate | null, { report }: StoreParts): void {
  if (pem === "") return;
  let fits: boolean;
  try {
    const key = createPrivateKey(pem);
    fits = certificate === null || certificate.checkPrivateKey(key);
  } catch {
    report(["admin", "tls", "key"], "found no private key without a passphrase, expected one in PEM (BEGIN PRIVATE KEY)");
    return;
  }
  if (!fits) report(["admin", "tls", "key"], "found the key of another certificate, expected that of admin.tls.cert");
}
