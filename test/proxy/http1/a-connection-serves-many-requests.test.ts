import assert from "node:assert/strict";
import { test } from "node:test";
import { Fields } from "../../../runtime/proxy/fields.ts";
import { ask, INNOCENT, ok, responses, startFront } from "./front-harness.ts";

const GET = (path: string, more = ""): string => `GET ${path} HTTP/1.1\r\nHost: a.example\r\n${more}\r\n`;

test("a request is answered with framing, date and nothing else", async () => {
  const harness = await startFront({ onExchange: ok });
  const received = await ask(harness, INNOCENT);
  assert.match(received, /^HTTP\/1\.1 200 OK\r\ndate: [^\r]+ GMT\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok$/);
  await harness.close();
});

test("pipelined requests are answered in order, whatever each takes", async () => {
  const harness = await startFront({
    onExchange: (exchange) => {
      const answer = (): void => exchange.reply(200, new Fields(), exchange.target);
      if (exchange.target === "/slow") setImmediate(answer);
      else answer();
    },
  });
  const client = await harness.connect();
  client.send(GET("/slow") + GET("/a") + GET("/b") + GET("/slow") + GET("/c", "Connection: close\r\n"));
  assert.deepEqual(
    responses(await client.whole()).map((response) => response.body),
    ["/slow", "/a", "/b", "/slow", "/c"],
  );
  await harness.close();
});

test("a thousand pipelined requests are answered on one connection", async () => {
  const harness = await startFront({ onExchange: ok });
  const client = await harness.connect();
  client.send(GET("/x").repeat(999) + INNOCENT);
  assert.equal(responses(await client.whole()).length, 1000);
  assert.equal(harness.seen.length, 1000);
  await harness.close();
});

test("trailers that would change who asks, or how a message is understood, are dropped, with underscores too", async () => {
  const harness = await startFront();
  const forbidden = [
    "Host: evil",
    "X-Forwarded-For: 6.6.6.6",
    "X_Forwarded_For: 6.6.6.6",
    "Authorization: x",
    "Cookie: a=b",
    "Sluice-Error: x",
    "Connection: close",
  ];
  const received = await ask(
    harness,
    `POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n${forbidden.map((line) => `${line}\r\n`).join("")}X-Sum: 7\r\n\r\n`,
  );
  assert.deepEqual((JSON.parse(received.slice(received.indexOf("\r\n\r\n") + 4)) as { trailers: unknown }).trailers, ["x-sum", "7"]);
  await harness.close();
});

test("bodies by length and chunked, with trailers, arrive whole and the connection goes on", async () => {
  const harness = await startFront();
  const client = await harness.connect();
  client.send(`POST /known HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nhello`);
  client.send(
    `POST /chunked HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n3\r\nabc\r\n4;n=v\r\ndefg\r\n0\r\nX-Sum: 7\r\nHost: evil\r\n\r\n`,
  );
  client.send(INNOCENT);
  const [known, chunked, last] = responses(await client.whole()).map((response) => JSON.parse(response.body) as Record<string, unknown>);
  assert.equal(known!.body, "hello");
  assert.equal(chunked!.body, "abcdefg");
  assert.deepEqual(chunked!.trailers, ["x-sum", "7"]);
  assert.equal(last!.target, "/innocent");
  await harness.close();
});

test("a response of unknown length is chunked for HTTP/1.1 and ends with the connection for HTTP/1.0", async () => {
  const harness = await startFront({
    onExchange: (exchange) => {
      exchange.head(200, new Fields(), -1);
      exchange.out.chunk(Buffer.from("one"));
      setImmediate(() => {
        exchange.out.chunk(Buffer.from("two"));
        exchange.out.end(Fields.of(["x-sum", "6"]));
      });
    },
  });
  assert.match(await ask(harness, INNOCENT), /transfer-encoding: chunked\r\nconnection: close\r\n\r\n3\r\none\r\n3\r\ntwo\r\n0\r\nx-sum: 6\r\n\r\n$/);
  assert.match(await ask(harness, "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), /date: [^\r]+\r\nconnection: close\r\n\r\nonetwo$/);
  await harness.close();
});

test("HTTP/1.0 with keep-alive stays open", async () => {
  const harness = await startFront({ onExchange: ok });
  const client = await harness.connect();
  client.send("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  await client.until((received) => received.endsWith("connection: keep-alive\r\n\r\nok"));
  client.send("GET / HTTP/1.0\r\n\r\n");
  assert.match(await client.whole(), /connection: close\r\n\r\nok$/);
  await harness.close();
});

test("HEAD, 204 and 304 have no body", async () => {
  const harness = await startFront({
    onExchange: (exchange) => {
      const status = Number(exchange.target.slice(1));
      exchange.head(status, new Fields(), 5);
      exchange.out.chunk(Buffer.from("hello"));
      exchange.out.end(null);
    },
  });
  const client = await harness.connect();
  client.send("HEAD /200 HTTP/1.1\r\nHost: a\r\n\r\n" + GET("/204") + GET("/304") + GET("/200", "Connection: close\r\n"));
  const parts = (await client.whole()).split(/(?=HTTP\/1\.1 )/);
  assert.match(parts[0]!, /content-length: 5\r\n\r\n$/);
  assert.doesNotMatch(parts[1]!, /content-length/);
  assert.match(parts[1]!, /\r\n\r\n$/);
  assert.match(parts[2]!, /\r\n\r\n$/);
  assert.match(parts[3]!, /\r\n\r\nhello$/);
  await harness.close();
});

test("a half-closing client gets the answers to everything it sent", async () => {
  const harness = await startFront({ onExchange: (exchange) => setImmediate(() => ok(exchange)) });
  const received = await ask(harness, GET("/a") + GET("/b") + GET("/c"), true);
  assert.deepEqual(
    responses(received).map((response) => response.status),
    [200, 200, 200],
  );
  await harness.close();
});

test("informational responses go before the final one, and never to HTTP/1.0", async () => {
  const harness = await startFront({
    onExchange: (exchange) => {
      exchange.informational(103, Fields.of(["link", "</a.css>; rel=preload"]));
      ok(exchange);
    },
  });
  assert.match(await ask(harness, INNOCENT), /^HTTP\/1\.1 103 Early Hints\r\nlink: <\/a\.css>; rel=preload\r\n\r\nHTTP\/1\.1 200 OK\r\n/);
  assert.match(await ask(harness, "GET / HTTP/1.0\r\n\r\n"), /^HTTP\/1\.1 200 OK\r\n/);
  await harness.close();
});

test("framing fields among a response's fields never reach the wire", async () => {
  const harness = await startFront({
    onExchange: (exchange) =>
      exchange.reply(200, Fields.of(["content-length", "9"], ["transfer-encoding", "chunked"], ["connection", "x"], ["x-a", "1"]), "ok"),
  });
  assert.match(await ask(harness, INNOCENT), /^HTTP\/1\.1 200 OK\r\nx-a: 1\r\ndate: [^\r]+\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok$/);
  await harness.close();
});

test("text outside ASCII is answered in UTF-8 with its length in bytes", async () => {
  const harness = await startFront({ onExchange: (exchange) => exchange.reply(200, new Fields(), "é€") });
  assert.equal(Buffer.from(responses(await ask(harness, INNOCENT))[0]!.body, "latin1").toString(), "é€");
  await harness.close();
});

test("an absolute target is taken apart, and OPTIONS * arrives as such", async () => {
  const harness = await startFront();
  const client = await harness.connect();
  client.send("GET http://A.example:8080?x=1 HTTP/1.1\r\nHost: a.EXAMPLE:8080\r\n\r\nOPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n" + INNOCENT);
  const [absolute, star] = responses(await client.whole()).map((response) => JSON.parse(response.body) as Record<string, unknown>);
  assert.equal(absolute!.target, "/?x=1");
  assert.equal(absolute!.authority, "a.example:8080");
  assert.equal(star!.target, "*");
  await harness.close();
});

test("hop-by-hop fields and those Connection names do not arrive", async () => {
  const harness = await startFront();
  const received = await ask(
    harness,
    "GET / HTTP/1.1\r\nHost: a\r\nConnection: close, X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\nTE: trailers\r\nProxy-Connection: close\r\nUpgrade: h2c\r\nX-Kept:  yes \t\r\n\r\n",
  );
  assert.deepEqual((JSON.parse(responses(received)[0]!.body) as { fields: string[] }).fields, ["x-kept", "yes"]);
  await harness.close();
});
