import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { once } from "node:events";
import { request } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { ConfigError, resolveConfig } from "../../runtime/config/config.ts";
import type { AdminTlsConfig } from "../../runtime/config/resolved.ts";
import { type Deed, startAdmin } from "../../runtime/control/admin.ts";
import { adminServer } from "../../runtime/control/admin-tls.ts";
import { callAdmin } from "../../runtime/cli/admin-call.ts";
import { type Certificate, makeCertificate } from "../support/certificates.ts";

const TOKEN = "0123456789abcdef-token";
const authority = makeCertificate({ name: "authority" });
const stranger = makeCertificate({ name: "another authority" });
const own = makeCertificate({ name: "gateway", by: authority, dns: ["admin.example.com"], addresses: ["127.0.0.1"] });
const renewed = makeCertificate({ name: "gateway, renewed", by: authority, dns: ["admin.example.com"] });

function folder(t: TestContext) {
  const dir = mkdtempSync(path.join(tmpdir(), "sluice-admin-tls-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const write = (name: string, text: string): string => {
    writeFileSync(path.join(dir, name), text);
    return path.join(dir, name);
  };
  return { dir, write };
}

async function admin(t: TestContext, { clients = false } = {}) {
  const { write } = folder(t);
  const tls: AdminTlsConfig = {
    certFile: write("cert.pem", own.cert),
    keyFile: write("key.pem", own.key),
    clientCaFile: clients ? write("ca.pem", authority.cert) : "",
  };
  const deeds: Deed[] = [];
  const started = await startAdmin({
    listen: { host: "127.0.0.1", port: 0, tls },
    token: TOKEN,
    version: "0",
    gateway: { notReady: () => "", status: () => ({ state: "serving" }), metrics: async () => "", purge: async () => null },
    audit: (deed) => void deeds.push(deed),
    log: () => undefined,
  });
  t.after(() => started.close());
  return { port: started.address.port, started, tls, deeds, write };
}

interface Asked {
  readonly client?: Certificate;
  readonly host?: string;
  readonly ca?: string;
}

function ask(port: number, { client, host, ca = authority.cert }: Asked = {}): Promise<{ status: number; code: string; shown: string }> {
  return new Promise((resolve, reject) => {
    request(
      {
        host: "127.0.0.1",
        port,
        path: "/v1/status",
        agent: false,
        servername: "admin.example.com",
        ca,
        headers: { authorization: `Bearer ${TOKEN}`, ...(host === undefined ? {} : { host }) },
        ...(client === undefined ? {} : { cert: client.cert, key: client.key }),
      },
      (response) => {
        const { subject } = (response.socket as import("node:tls").TLSSocket).getPeerCertificate();
        let body = "";
        response.setEncoding("utf8").on("data", (piece: string) => (body += piece));
        response.on("end", () =>
          resolve({ status: response.statusCode!, code: (JSON.parse(body) as { code?: string }).code ?? "", shown: String(subject.CN) }),
        );
      },
    )
      .on("error", reject)
      .end();
  });
}

test("with a certificate it speaks TLS; the certificate's names are good as Host, others are not", async (t) => {
  const { port } = await admin(t);
  assert.deepEqual(await ask(port), { status: 200, code: "", shown: "gateway" });
  assert.equal((await ask(port, { host: `admin.example.com:${port}` })).status, 200);
  assert.deepEqual((await ask(port, { host: "evil.example" })).code, "HOST_REFUSED");
  await assert.rejects(ask(port, { ca: stranger.cert }), /self.signed|unable to verify/i);
});

test("mutual TLS: a client without a certificate, or with a stranger's, is refused with its reason and noted, token or not", async (t) => {
  const { port, deeds } = await admin(t, { clients: true });
  const known = makeCertificate({ name: "ann", by: authority });
  assert.equal((await ask(port, { client: known })).status, 200);
  assert.deepEqual(await ask(port), { status: 403, code: "CERTIFICATE_REFUSED", shown: "gateway" });
  assert.equal((await ask(port, { client: makeCertificate({ name: "eve", by: stranger }) })).code, "CERTIFICATE_REFUSED");
  assert.deepEqual(
    deeds.map(({ action, status, reason }) => `${action} ${status} ${reason.split(":")[0]}`),
    ["GET /v1/status 403 CERTIFICATE_REFUSED", "GET /v1/status 403 CERTIFICATE_REFUSED"],
  );
  assert.match(deeds[0]!.reason, /no certificate/);
});

test("who connects and says nothing is let go at the deadline of a request's head", { timeout: 20_000 }, async (t) => {
  const { write } = folder(t);
  const tls = { certFile: write("cert.pem", own.cert), keyFile: write("key.pem", own.key), clientCaFile: "" };
  const { server } = adminServer(tls, { headersTimeout: 20 }, () => assert.fail("nothing was asked"));
  const failed = once(server, "tlsClientError") as Promise<[NodeJS.ErrnoException]>;
  await once(server.listen(0, "127.0.0.1"), "listening");
  t.after(() => server.close());
  const silent = connect((server.address() as AddressInfo).port, "127.0.0.1");
  t.after(() => silent.destroy());
  silent.on("error", () => undefined);
  const closed = new Promise((resolve) => silent.once("close", resolve));
  assert.equal((await failed)[0].code, "ERR_TLS_HANDSHAKE_TIMEOUT");
  silent.resume();
  await closed;
});

test("renewed certificates are taken without a restart; broken ones leave what was", async (t) => {
  const { port, started, tls, write } = await admin(t);
  write("cert.pem", renewed.cert);
  write("key.pem", renewed.key);
  started.renew(tls);
  assert.equal((await ask(port)).shown, "gateway, renewed");
  write("cert.pem", "nonsense");
  assert.throws(() => started.renew(tls));
  assert.equal((await ask(port)).shown, "gateway, renewed");
});

test("commands trust the authority that SLUICE_ADMIN_CA names, and show the certificate of SLUICE_ADMIN_CERT", async (t) => {
  const { port, write } = await admin(t, { clients: true });
  const client = makeCertificate({ name: "bob", by: authority });
  const names = ["SLUICE_ADMIN_TOKEN", "SLUICE_ADMIN_CA", "SLUICE_ADMIN_CERT", "SLUICE_ADMIN_KEY"];
  t.after(() => names.forEach((name) => Reflect.deleteProperty(process.env, name)));
  process.env["SLUICE_ADMIN_TOKEN"] = TOKEN;
  const place = { admin: `https://127.0.0.1:${port}`, config: "." };
  await assert.rejects(callAdmin(place, "/v1/status"), /its certificate is not trusted; name its authority with SLUICE_ADMIN_CA/);
  process.env["SLUICE_ADMIN_CA"] = write("authority.pem", authority.cert);
  await assert.rejects(callAdmin(place, "/v1/status"), /CERTIFICATE_REFUSED: found no certificate/);
  process.env["SLUICE_ADMIN_CERT"] = write("client.pem", client.cert);
  await assert.rejects(callAdmin(place, "/v1/status"), /found one, expected both or none/);
  process.env["SLUICE_ADMIN_KEY"] = write("client-key.pem", client.key);
  assert.deepEqual(await callAdmin(place, "/v1/status"), { state: "serving" });
});

function problems(dir: string, value: object): string[] {
  try {
    resolveConfig({ upstreams: { site: { targets: ["http://127.0.0.1:9001"] } }, ...value }, { baseDir: dir, file: "" });
    return [];
  } catch (thrown) {
    assert.ok(thrown instanceof ConfigError);
    return thrown.problems.map(({ path: place, text }) => `${place}: ${text}`);
  }
}

test("an address that others reach is refused without TLS, with its place in config; loopback needs none", (t) => {
  const { dir, write } = folder(t);
  for (const host of ["0.0.0.0", "192.0.2.1", "::", "10.0.0.1"])
    assert.deepEqual(problems(dir, { admin: { host } }), [
      `admin.host: found "${host}" without admin.tls, expected a loopback address, or tls: { cert, key }: tokens would be read on the network`,
    ]);
  for (const host of ["127.0.0.1", "127.1.2.3", "::1", "localhost"]) assert.deepEqual(problems(dir, { admin: { host } }), []);
  write("cert.pem", own.cert);
  write("key.pem", own.key);
  assert.deepEqual(problems(dir, { admin: { host: "0.0.0.0", tls: { cert: "cert.pem", key: "key.pem" } } }), []);
});

test("certificates that cannot be used are told when the config is read, and no key is shown", (t) => {
  const { dir, write } = folder(t);
  write("cert.pem", own.cert);
  write("key.pem", own.key);
  write("other.pem", renewed.key);
  const of = (cert: string, key: string, clientCa?: string) =>
    problems(dir, { admin: { tls: { cert, key, ...(clientCa === undefined ? {} : { clientCa }) } } });
  assert.deepEqual(of("cert.pem", "other.pem"), ["admin.tls.key: found the key of another certificate, expected that of admin.tls.cert"]);
  assert.deepEqual(of("key.pem", "key.pem"), ["admin.tls.cert: found a private key, expected a certificate in PEM (BEGIN CERTIFICATE)"]);
  assert.deepEqual(of("cert.pem", "cert.pem"), ["admin.tls.key: found no private key without a passphrase, expected one in PEM (BEGIN PRIVATE KEY)"]);
  assert.deepEqual(of("gone.pem", "key.pem"), ['admin.tls.cert: "gone.pem" cannot be read (ENOENT)']);
  assert.deepEqual(of("cert.pem", "key.pem", "key.pem"), ["admin.tls.clientCa: found a private key, expected a certificate in PEM (BEGIN CERTIFICATE)"]);
});
