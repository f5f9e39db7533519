/**
 * Program of `slow-clients.ts`, apart from the good visitors so that it does not slow them down itself: the origin of large answers, and,
 * when it is told a port, slow clients towards it. `HEADS BODIES READERS`.
 */
import { createServer } from "node:http";
import net, { type AddressInfo } from "node:net";

const [heads, bodies, readers] = process.argv.slice(2).map(Number) as [number, number, number];
const LARGE = Buffer.alloc(8 * 2 ** 20, "sluice ");
/** Each sends a byte so often: slower than any limit allows, yet never silent. Spread evenly, as strangers would be. */
const TRICKLE_MS = 2_000;
/** One connection and some four bytes a turn: strangers do not come in step, and a burst of them is the load generator's, not the attack's. */
const TURN_MS = 5;

let port = 0;
let opened = 0;
let failed = 0;
const open = new Set<net.Socket>();
const trickling: Set<net.Socket>[] = Array.from({ length: TRICKLE_MS / TURN_MS }, () => new Set<net.Socket>());

type Manner = (socket: net.Socket) => void;

const slowHead: Manner = (socket) => {
  socket.write("GET /slow HTTP/1.1\r\nHost: site.example.com\r\nX-Slow: ");
  trickling[opened % trickling.length]!.add(socket);
};
const slowBody: Manner = (socket) => {
  socket.write("POST /slow HTTP/1.1\r\nHost: site.example.com\r\nContent-Length: 1000000\r\n\r\n");
  trickling[opened % trickling.length]!.add(socket);
};
const slowReader: Manner = (socket) => {
  socket.pause();
  socket.write("GET /large HTTP/1.1\r\nHost: site.example.com\r\n\r\n");
};

function connect(manner: Manner): void {
  const socket = net.connect({ port, host: "127.0.0.1" });
  socket.on("error", () => socket.destroy());
  socket.on("connect", () => {
    opened++;
    open.add(socket);
    manner(socket);
  });
  socket.on("close", () => {
    if (!open.delete(socket)) failed++;
    for (const turn of trickling) turn.delete(socket);
  });
  // One that is paused does not notice its end: whether it is closed is seen at the gateway.
  if (manner !== slowReader) socket.resume();
}

/** Evenly mixed: readers cost most while they are opened, some MiB each until their kernels are full. */
const manners = [...spread(heads, slowHead), ...spread(bodies, slowBody), ...spread(readers, slowReader)]
  .sort((a, b) => a.place - b.place)
  .map(({ manner }) => manner);

function spread(count: number, manner: Manner): { place: number; manner: Manner }[] {
  return Array.from({ length: count }, (_, i) => ({ place: (i + 0.5) / count, manner }));
}

let turn = 0;
function work(): void {
  const manner = manners.shift();
  if (manner !== undefined) connect(manner);
  for (const socket of trickling[turn++ % trickling.length]!) if (socket.writable) socket.write("x");
}
const origin = createServer((request, response) => {
  request.resume().on("error", () => undefined);
  response.on("error", () => undefined).end(LARGE);
});
origin.listen(0, "127.0.0.1", () => process.send!({ origin: `http://127.0.0.1:${(origin.address() as AddressInfo).port}` }));
process.on("message", (told: number) => {
  port = told;
  setInterval(work, TURN_MS);
  setInterval(() => process.send!({ opened, failed, left: manners.length, open: open.size }), 200);
});
process.on("disconnect", () => process.exit(0));
