import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { createServer, type TLSSocket } from "node:tls";
import type { ResolveName } from "../../runtime/upstream/names.ts";
import { failure, HandFedBody, readAll, request, rig, until, upstreamOf } from "./origin.ts";

const file = (name: string): string => readFileSync(new URL(`./tls/${name}`, import.meta.url), "utf8");
const CA = file("ca.pem");
const toLoopback: ResolveName = (_name, done) => done(null, [{ address: "127.0.0.1", family: 4 }]);

/** An https origin; `answer` gets each socket and each piece of what comes on it. */
async function secureOrigin(answer: (socket: TLSSocket, bytes: Buffer) => void) {
  const sockets: TLSSocket[] = [];
  const server = createServer({ cert: file("origin.pem"), key: file("origin.key"), ALPNProtocols: ["http/1.1"] }, (socket) => {
    sockets.push(socket);
    socket.on("error", (error: NodeJS.ErrnoException) => assert.equal(error.code, "ECONNRESET"));
    socket.on("data", (bytes: Buffer) => answer(socket, bytes));
  });
  server.on("tlsClientError", (error) => assert.ok(error));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    port: (server.address() as { port: number }).port,
    sockets,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, "close");
    },
  };
}

const HELLO = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello";

test("an origin with a certificate for its name is asked over TLS, with SNI, on a connection that is kept", async () => {
  await using secure = await secureOrigin((socket) => void socket.write(HELLO));
  using room = rig(upstreamOf([`https://origin.test:${secure.port}`]), { certificateAuthorities: [CA], resolveName: toLoopback });
  for (let i = 0; i < 3; i++) assert.equal((await readAll((await room.upstreams.send("shop", request(), null)).body)).text, "hello");
  assert.equal(secure.sockets.length, 1);
  assert.equal((secure.sockets[0] as TLSSocket & { servername: string }).servername, "origin.test");
  assert.equal(secure.sockets[0]!.alpnProtocol, "http/1.1");
});

test("an address is verified against the certificate's addresses", async () => {
  await using secure = await secureOrigin((socket) => void socket.write(HELLO));
  using room = rig(upstreamOf([`https://127.0.0.1:${secure.port}`]), { certificateAuthorities: [CA] });
  assert.equal((await readAll((await room.upstreams.send("shop", request(), null)).body)).text, "hello");
});

test("an unknown authority is UPSTREAM_CONNECT_FAILED, and nothing of the request is sent", async () => {
  let received = 0;
  await using secure = await secureOrigin((_socket, bytes) => void (received += bytes.length));
  using room = rig(upstreamOf([`https://127.0.0.1:${secure.port}`]));
  const error = await failure(room.upstreams.send("shop", request(), null));
  assert.equal(error.code, "UPSTREAM_CONNECT_FAILED");
  assert.match(error.detail, /certificate/);
  assert.equal(received, 0);
});

test("a certificate for another name is UPSTREAM_CONNECT_FAILED", async () => {
  await using secure = await secureOrigin((socket) => void socket.write(HELLO));
  using room = rig(upstreamOf([`https://other.test:${secure.port}`]), { certificateAuthorities: [CA], resolveName: toLoopback });
  const error = await failure(room.upstreams.send("shop", request(), null));
  assert.equal(error.code, "UPSTREAM_CONNECT_FAILED");
  assert.match(error.detail, /other\.test/);
});

test("16 MiB down to a pausing reader and 16 MiB up come through TLS whole", async () => {
  const total = 16 << 20;
  let received = 0;
  await using secure = await secureOrigin((socket, bytes) => {
    received += bytes.length;
    if (received < total) return;
    if (received > total * 2) return;
    received = total * 2 + 1;
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${total}\r\n\r\n`);
    socket.write(Buffer.alloc(total, "z"));
  });
  using room = rig(upstreamOf([`https://127.0.0.1:${secure.port}`]), { certificateAuthorities: [CA] });
  const up = new HandFedBody(total);
  const sending = room.upstreams.send("shop", request({ method: "PUT", body: up }), null);
  const sink = await up.begun;
  const piece = Buffer.alloc(65_536, "a");
  for (let sent = 0; sent < total; sent += piece.length) {
    const resumed = up.resumed;
    if (!sink.chunk(piece)) await until(() => up.resumed > resumed);
  }
  sink.end(null);
  const { body } = await sending;
  const got = await new Promise<number>((resolve, reject) => {
    let bytes = 0;
    body.read({
      chunk(view) {
        bytes += view.length;
        setImmediate(() => body.resume());
        return false;
      },
      end: () => resolve(bytes),
      error: reject,
    });
  });
  assert.equal(got, total);
});

test("an upgrade over TLS gives a tunnel", async () => {
  await using secure = await secureOrigin((socket, bytes) => {
    if (bytes.includes("upgrade: websocket")) socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nfirst");
    else socket.end(bytes);
  });
  using room = rig(upstreamOf([`https://127.0.0.1:${secure.port}`]), { certificateAuthorities: [CA] });
  const { tunnel } = await room.upstreams.send("shop", request({ upgradeProtocol: "websocket" }), null);
  let got = "";
  tunnel!.on("data", (bytes: Buffer) => (got += bytes.toString()));
  tunnel!.resume();
  tunnel!.write("ping");
  await until(() => got === "firstping");
  tunnel!.end();
  await until(() => room.upstreams.status()[0]!.active === 0);
});
