/** What is more than a request and its answer: a WebSocket session, an event stream, a whole Hono app as a rule, each with a real client. */
import { once } from "node:events";
import { get, type IncomingMessage } from "node:http";
import { WebSocket, WebSocketServer } from "ws";
import { type Claim, type Finding, judged } from "./claim.ts";
import { type Gateway, startGateway } from "./gateway.ts";
import { startOrigin } from "./origin.ts";

const MESSAGES = 200;
const LARGE_MESSAGE_BYTES = 2 ** 20;
const EVENTS = 10;
const BETWEEN_EVENTS_MS = 30;
const DEADLINE_MS = 20_000;
const CLOSE_CODE = 4001;

export const liveProtocols: Claim = {
  name: "live-protocols",
  asked: "a WebSocket echo session, an event stream and a Hono app, each through the gateway with real clients: work",
  when: "always",
  measure,
};

async function measure(): Promise<Finding> {
  const sockets = new WebSocketServer({ noServer: true, maxPayload: 2 * LARGE_MESSAGE_BYTES });
  const origin = await startOrigin((_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    let sent = 0;
    const timer = setInterval(() => {
      response.write(`id: ${sent}\ndata: ${performance.now()}\n\n`);
      if (++sent < EVENTS) return;
      clearInterval(timer);
      response.end();
    }, BETWEEN_EVENTS_MS);
  });
  origin.server.on("upgrade", (request, socket, head) => {
    sockets.handleUpgrade(request, socket, head, (echo) => echo.on("message", (data, isBinary) => echo.send(data, { binary: isBinary })));
  });
  const gateway = await startGateway({ command: "start", config: { upstreams: { origin: { targets: [origin.url] } } }, rules: { "app.ts": HONO_APP } });
  try {
    const faults = [...(await echoSession(gateway)), ...(await eventStream(gateway)), ...(await honoApp(gateway))];
    return judged(
      `${MESSAGES} text messages and a binary one of 1 MiB echoed, closed with code ${CLOSE_CODE}; ${EVENTS} events, each as it was sent; a Hono app with routes, parameters, JSON and 404`,
      faults,
    );
  } finally {
    for (const client of sockets.clients) client.terminate();
    await gateway.stop();
    origin.close();
  }
}

async function echoSession(gateway: Gateway): Promise<string[]> {
  const socket = new WebSocket(`ws://127.0.0.1:${gateway.port}/echo`);
  const signal = AbortSignal.timeout(DEADLINE_MS);
  await once(socket, "open", { signal });
  const faults: string[] = [];
  for (let i = 0; i < MESSAGES; i++) {
    socket.send(`message ${i}`);
    const [data] = (await once(socket, "message", { signal })) as [Buffer];
    if (data.toString() !== `message ${i}`) faults.push(`WebSocket message ${i} came back as ${data.toString().slice(0, 40)}`);
  }
  const large = Buffer.alloc(LARGE_MESSAGE_BYTES, "sluice");
  socket.send(large);
  const [echoed, isBinary] = (await once(socket, "message", { signal })) as [Buffer, boolean];
  if (!isBinary || !large.equals(echoed)) faults.push("the large WebSocket message came back changed");
  socket.close(CLOSE_CODE, "done");
  const [code] = (await once(socket, "close", { signal })) as [number];
  if (code !== CLOSE_CODE) faults.push(`the WebSocket closed with ${code}`);
  return faults;
}

async function eventStream(gateway: Gateway): Promise<string[]> {
  const asked = get(`${gateway.url}/events`, { signal: AbortSignal.timeout(DEADLINE_MS) });
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  const ids: string[] = [];
  const delaysMs: number[] = [];
  for await (const piece of response.setEncoding("utf8")) {
    for (const [, id, sentMs] of (piece as string).matchAll(/id: (\d+)\ndata: ([\d.]+)\n\n/g)) {
      ids.push(id!);
      delaysMs.push(performance.now() - Number(sentMs));
    }
  }
  const expected = Array.from({ length: EVENTS }, (_, i) => String(i));
  // Held back until the end, the first would be this late.
  const heldMs = (EVENTS - 1) * BETWEEN_EVENTS_MS;
  return [
    ids.join() !== expected.join() && `events ${ids.join()} instead of ${expected.join()}`,
    delaysMs[0]! >= heldMs && `the first event came ${delaysMs[0]!.toFixed(0)} ms late: the stream was held back`,
  ].filter((fault) => fault !== false);
}

async function honoApp(gateway: Gateway): Promise<string[]> {
  const ask = async (path: string, init: RequestInit = {}): Promise<string> => {
    const answer = await fetch(`${gateway.url}${path}`, { ...init, signal: AbortSignal.timeout(DEADLINE_MS) });
    return `${answer.status} ${answer.headers.get("x-powered-by-app")} ${await answer.text()}`;
  };
  const cases: [found: string, expected: string][] = [
    [await ask("/app/books/42?lang=en"), '200 hono {"id":"42","lang":"en"}'],
    [await ask("/app/books", { method: "POST", headers: { "content-type": "application/json" }, body: '{"title":"Zoë"}' }), '201 hono {"made":"Zoë"}'],
    [await ask("/app/nothing"), "404 hono 404 Not Found"],
  ];
  return cases.flatMap(([found, expected]) => (found === expected ? [] : [`the Hono app answered ${found} instead of ${expected}`]));
}

const HONO_APP = `import { Hono } from "hono";
import { fromFetchHandler } from "sluice";

const app = new Hono().basePath("/app");
app.use(async (c, next) => {
  await next();
  c.header("x-powered-by-app", "hono");
});
app.get("/books/:id", (c) => c.json({ id: c.req.param("id"), lang: c.req.query("lang") }));
app.post("/books", async (c) => c.json({ made: (await c.req.json()).title }, 201));

export default fromFetchHandler(app, { when: { path: "/app/*" } });
`;
