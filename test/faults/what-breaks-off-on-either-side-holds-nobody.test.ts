/** Through the whole core: what a client gets from an origin that misbehaves, and that neither origins nor clients that break off hold anything of others. */
import assert from "node:assert/strict";
import type { Socket } from "node:net";
import { describe, test } from "node:test";
import type { ErrorCode } from "../../runtime/errors.ts";
import { ERRORS } from "../../runtime/errors.ts";
import type { OriginConnection } from "../upstream/origin.ts";
import { openCore } from "./core-in-between.ts";

const OK = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
const GET = "GET /odd HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n";

/** Answers every request with OK once it is whole, and the first to /odd as the test says. */
function answering(odd: (connection: OriginConnection) => void): (connection: OriginConnection) => Promise<void> {
  return async (connection) => {
    // Each wait for bytes listens for the end, and one connection may wait for many uploads.
    connection.socket.setMaxListeners(0);
    try {
      for (;;) {
        const head = await connection.head();
        if (head.includes("transfer-encoding: chunked")) await connection.take("0\r\n\r\n");
        else if (head.includes("content-length: ")) await connection.take("THE END");
        if (head.includes(" /odd ")) odd(connection);
        else connection.send(OK);
      }
    } catch {
      // The gateway gave the connection up.
    }
  };
}

const LEAVE: Readonly<Record<string, (socket: Socket) => void>> = {
  closes: (socket) => socket.end(),
  resets: (socket) => socket.resetAndDestroy(),
  "says no more": () => undefined,
};

/** What an origin sends, how it goes on, and what the client is answered. */
const ANSWERED: readonly [what: string, sent: string, then: keyof typeof LEAVE, code: ErrorCode][] = [
  ["closes before a byte of its answer", "", "closes", "UPSTREAM_RESET"],
  ["resets before a byte of its answer", "", "resets", "UPSTREAM_RESET"],
  ["closes in its status line", "HTTP/1.1 2", "closes", "UPSTREAM_RESET"],
  ["closes in its fields", "HTTP/1.1 200 OK\r\ncontent-le", "closes", "UPSTREAM_RESET"],
  ["closes behind early hints", "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", "closes", "UPSTREAM_RESET"],
  ["sends no answer in its time", "", "says no more", "UPSTREAM_TIMEOUT"],
  ["sends half a head in its time", "HTTP/1.1 200 OK\r\nx-a", "says no more", "UPSTREAM_TIMEOUT"],
  ["sends garbage", "hello, is this HTTP?\r\n\r\n", "says no more", "UPSTREAM_MALFORMED"],
  ["sends bytes of another protocol", "\0\0\x12\x04\0\0\0\0\0", "says no more", "UPSTREAM_MALFORMED"],
  [
    "sends Content-Length with Transfer-Encoding",
    "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "says no more",
    "UPSTREAM_MALFORMED",
  ],
  ["sends two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 4\r\n\r\nabcd", "says no more", "UPSTREAM_MALFORMED"],
  ["sends a bare LF", "HTTP/1.1 200 OK\nx-a: 1\r\n\r\n", "says no more", "UPSTREAM_MALFORMED"],
  ["splits its head by a bare CR", "HTTP/1.1 200 OK\r\nx-a: 1\rset-cookie: a=b\r\ncontent-length: 0\r\n\r\n", "says no more", "UPSTREAM_MALFORMED"],
  [
    "switches to a protocol that nobody asked for",
    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n",
    "says no more",
    "UPSTREAM_MALFORMED",
  ],
  ["sends informational responses without end", "HTTP/1.1 102 Processing\r\n\r\n".repeat(100), "says no more", "UPSTREAM_MALFORMED"],
  [
    "sends a head that is too large",
    `HTTP/1.1 200 OK\r\n${`x: ${"y".repeat(1_000)}\r\n`.repeat(40)}content-length: 0\r\n\r\n`,
    "says no more",
    "UPSTREAM_HEAD_TOO_LARGE",
  ],
];

describe("an origin that", () => {
  for (const [what, sent, then, code] of ANSWERED) {
    test(`${what}: ${ERRORS[code].status} ${code}, and the next request is answered at once`, async (t) => {
      const timeouts = then === "says no more" && code === "UPSTREAM_TIMEOUT" ? { timeouts: { firstByte: "50ms" } } : {};
      const core = await openCore(
        t,
        answering((connection) => {
          if (sent !== "") connection.send(sent);
          LEAVE[then]!(connection.socket);
        }),
        { upstream: { maxConnections: 1, ...timeouts } },
      );
      const received = (await core.ask(GET)).replaceAll(/HTTP\/1\.1 10[23] [^]*?\r\n\r\n/g, "");
      assert.match(received, new RegExp(`^HTTP/1\\.1 ${ERRORS[code].status} [^]*\\r\\nsluice-error: ${code}\\r\\n`));
      assert.ok(!received.toLowerCase().includes("set-cookie"));
      await core.innocentIsAnswered();
    });
  }

  const BROKEN: readonly [what: string, sent: string, then: keyof typeof LEAVE, ends: RegExp][] = [
    ["closes in a body of known length", "HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nabc", "closes", /\r\ncontent-length: 10\r\n[^]*\r\n\r\nabc$/],
    ["closes in a chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nabc", "closes", /\r\n3\r\nabc\r\n$/],
    ["closes in its trailers", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nx-a: 1", "closes", /\r\n3\r\nabc\r\n$/],
    ["sends a chunk size that is none", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\nxyz\r\n", "says no more", /\r\n3\r\nabc\r\n$/],
  ];
  for (const [what, sent, then, ends] of BROKEN) {
    test(`${what}: the answer breaks off instead of looking complete, and the next request is answered at once`, async (t) => {
      const core = await openCore(
        t,
        answering((connection) => {
          connection.send(sent);
          LEAVE[then]!(connection.socket);
        }),
        { upstream: { maxConnections: 1 } },
      );
      assert.match(await core.ask(GET), ends);
      await core.innocentIsAnswered();
    });
  }

  for (const [what, answer, method, expected] of [
    ["sends a second answer behind the first", `${OK}HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil`, "GET", /\r\n\r\nok$/],
    ["sends a body to HEAD", "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil", "HEAD", /\r\ncontent-length: 4\r\n[^]*\r\n\r\n$/],
    ["sends a body with 204", "HTTP/1.1 204 No Content\r\ncontent-length: 4\r\n\r\nevil", "GET", /^HTTP\/1\.1 204 [^]*\r\n\r\n$/],
    ["sends a body with 304", "HTTP/1.1 304 Not Modified\r\n\r\nevil", "GET", /^HTTP\/1\.1 304 [^]*\r\n\r\n$/],
  ] as const) {
    test(`${what}: nobody gets those bytes, and nothing is asked on that connection again`, async (t) => {
      const core = await openCore(
        t,
        answering((connection) => connection.send(answer)),
        { upstream: { maxConnections: 1 } },
      );
      const received = await core.ask(GET.replace("GET", method));
      assert.match(received, expected);
      assert.ok(!received.includes("evil"));
      await core.innocentIsAnswered();
      assert.equal(core.origin.connections.length, 2, "the connection was given up");
    });
  }

  test("answers before the body was sent: the client hears it, and the next request is answered at once", async (t) => {
    const core = await openCore(
      t,
      async (connection) => {
        const head = await connection.head().catch(() => "");
        connection.send(head.startsWith("POST") ? "HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig" : OK);
      },
      { upstream: { maxConnections: 1 } },
    );
    const received = await core.ask(`POST /up HTTP/1.1\r\nHost: a.example\r\nContent-Length: 90000000\r\n\r\n${"x".repeat(100_000)}`);
    assert.match(received, /^HTTP\/1\.1 413 [^]*\r\n\r\nbig$/);
    await core.innocentIsAnswered();
  });
});

/** Fewer than the uploads that break off: each connection that one of them held would be missing. */
const CONNECTIONS = 8;
const BODY = `${"x".repeat(60)}THE END`;
const UPLOADS: Readonly<Record<string, string>> = {
  "of known length": `POST /up HTTP/1.1\r\nHost: a.example\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`,
  chunked: `POST /up HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n${BODY.length.toString(16)};a=b\r\n${BODY}\r\n0\r\nX-Sum: 1\r\n\r\n`,
};
const CLIENT_LEAVES: Readonly<Record<string, (socket: Socket) => void>> = {
  closes: (socket) => socket.destroy(),
  "half-closes": (socket) => socket.end(),
  resets: (socket) => socket.resetAndDestroy(),
};

describe("a client that", () => {
  for (const [kind, upload] of Object.entries(UPLOADS)) {
    for (const [how, leave] of Object.entries(CLIENT_LEAVES)) {
      test(`${how} at any byte of an upload ${kind} holds no connection to the origin`, async (t) => {
        const core = await openCore(
          t,
          answering(() => assert.fail("nobody asks for it")),
          { upstream: { maxConnections: CONNECTIONS } },
        );
        for (let cut = 1; cut < upload.length; cut++) {
          const client = await core.connect();
          client.send(upload.slice(0, cut));
          // What was sent is on its way to the origin, not only in the client's own buffer.
          if (cut % 4 === 0) await core.innocentIsAnswered();
          leave(client.socket);
          await client.whole();
          await core.innocentIsAnswered();
        }
        await core.nothingIsHeld();
      });
    }
  }

  for (const [what, sent] of [
    ["while its answer is awaited", ""],
    ["in the middle of its answer", `HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n${"y".repeat(300_000)}`],
  ] as const) {
    test(`leaves ${what} holds no connection to the origin`, async (t) => {
      let heard = (): void => undefined;
      const core = await openCore(
        t,
        answering((connection) => {
          if (sent !== "") connection.send(sent);
          heard();
        }),
        { upstream: { maxConnections: 1 } },
      );
      for (const leave of [CLIENT_LEAVES["closes"]!, CLIENT_LEAVES["resets"]!]) {
        for (let times = 0; times < 2; times++) {
          const arrived = new Promise<void>((resolve) => (heard = resolve));
          const client = await core.connect();
          client.send(GET);
          await arrived;
          if (sent !== "") await client.until((received) => received.includes("yyy"));
          leave(client.socket);
          await client.whole();
          await core.nothingIsHeld();
          await core.innocentIsAnswered();
        }
      }
    });
  }
});
