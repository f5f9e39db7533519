/** Program of `slow-clients.ts`: opens slow clients towards 127.0.0.1:PORT and tells how many are open. `PORT HEADS BODIES READERS`. */
import net from "node:net";

const [port, heads, bodies, readers] = process.argv.slice(2).map(Number) as [number, number, number, number];
/** Each sends a byte so often: slower than any limit allows, yet never silent. */
const TRICKLE_MS = 1_000;
/** So that neither this process nor the accept queue is what is measured. */
const OPENED_AT_ONCE = 10;
const BETWEEN_MS = 20;

let opened = 0;
let failed = 0;
const open = new Set<net.Socket>();
const trickling = new Set<net.Socket>();

type Manner = (socket: net.Socket) => void;

const slowHead: Manner = (socket) => {
  socket.write("GET /slow HTTP/1.1\r\nHost: site.example.com\r\nX-Slow: ");
  trickling.add(socket);
};
const slowBody: Manner = (socket) => {
  socket.write("POST /slow HTTP/1.1\r\nHost: site.example.com\r\nContent-Length: 1000000\r\n\r\n");
  trickling.add(socket);
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
    trickling.delete(socket);
  });
  // A paused socket does not notice its end: a refused write does, or this look.
  if (manner !== slowReader) socket.resume();
}

const manners: Manner[] = [];
for (let i = 0; i < Math.max(heads, bodies, readers); i++) {
  if (i < heads) manners.push(slowHead);
  if (i < bodies) manners.push(slowBody);
  if (i < readers) manners.push(slowReader);
}
const opening = setInterval(() => {
  for (const manner of manners.splice(0, OPENED_AT_ONCE)) connect(manner);
  if (manners.length === 0) clearInterval(opening);
}, BETWEEN_MS);
setInterval(() => {
  for (const socket of trickling) if (socket.writable) socket.write("x");
}, TRICKLE_MS);
setInterval(() => process.send!({ opened, failed, left: manners.length, open: open.size }), 200);
process.on("disconnect", () => process.exit(0));
