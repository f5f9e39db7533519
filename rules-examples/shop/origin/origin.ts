/**
 * One origin process of the demo shop: `node origin.ts PORT` (0 takes a free one) on 127.0.0.1. Started several times, the
 * processes are the targets of one upstream. Tells its port to whoever started it (IPC), and prints it.
 */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { WebSocketServer } from "ws";
import { answer } from "./routes.ts";

const port = Number(process.argv[2] ?? "0");
const key = process.env.SHOP_JWT_KEY;
if (!Number.isInteger(port) || port < 0 || port > 65535) fail(`"${process.argv[2]}" is no port.`);
if (!key) fail("SHOP_JWT_KEY is not set: it signs the shop's sessions.");

function fail(sentence: string): never {
  process.stderr.write(`shop: ${sentence}\n`);
  process.exit(1);
}

const server = createServer();
const sockets = new WebSocketServer({ server, path: "/ws", maxPayload: 1024 * 1024 });
sockets.on("error", () => undefined);
sockets.on("connection", (socket) => {
  socket.on("error", (error) => process.stderr.write(`shop: WebSocket: ${error.message}\n`));
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});

server.on("error", (error: NodeJS.ErrnoException) => {
  fail(error.code === "EADDRINUSE" ? `port ${port} on 127.0.0.1 is taken.` : error.message);
});
server.listen(port, "127.0.0.1", () => {
  const bound = (server.address() as AddressInfo).port;
  const target = `127.0.0.1:${bound}`;
  server.on("request", (request, response) => void answer(request, response, { key, target }));
  process.send?.({ port: bound });
  process.stdout.write(`shop: origin on http://${target}\n`);
});

const stop = () => {
  server.closeAllConnections();
  process.exit(0);
};
process.on("SIGINT", stop);
process.on("SIGTERM", stop);
process.on("disconnect", stop);
