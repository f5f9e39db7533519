import assert from "node:assert/strict";
import { test } from "node:test";
import { openCore } from "../faults/core-in-between.ts";
import { releaseOf } from "../sandbox/room.ts";

test("GET made HEAD, and 304 made 200, have no body: the answer says so, and the connection goes on", async (t) => {
  const release = releaseOf({
    phases: ["onRequest", "onResponse"],
    body: `onRequest(req) { if (req.path === "/made-head") req.method = "HEAD" }, onResponse(res, req) { if (req.path === "/made-200") res.status = 200 }`,
  });
  const core = await openCore(
    t,
    async (connection) => {
      for (let head = await connection.head(); head !== ""; head = await connection.head().catch(() => "")) {
        if (head.startsWith("HEAD ")) connection.send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n");
        else if (head.includes("/made-200 ")) connection.send("HTTP/1.1 304 Not Modified\r\ncontent-length: 10\r\n\r\n");
        else connection.send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
      }
    },
    { release },
  );
  for (const path of ["/made-head", "/made-200"]) {
    const received = await core.ask(`GET ${path} HTTP/1.1\r\nHost: a\r\n\r\nGET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`);
    assert.match(received, /^HTTP\/1\.1 200 OK\r\n(?:(?!content-length)[^\r]+\r\n)*content-length: 0\r\n\r\nHTTP\/1\.1 200 OK\r\n[^]*\r\n\r\nok$/, path);
  }
  assert.match(await core.ask("HEAD /made-head HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), /\r\ncontent-length: 10\r\n[^]*\r\n\r\n$/);
});
