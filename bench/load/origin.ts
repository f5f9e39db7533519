/** The origin of the benchmarks: answers every request with the same bytes, as cheaply as Node can. `node origin.ts PORT BYTES` */
import net from "node:net";

const [port, bytes] = process.argv.slice(2).map(Number);
const answer = Buffer.from(`HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/plain\r\nContent-Length: ${bytes}\r\nCache-Control: max-age=60\r\n\r\n${"A".repeat(bytes!)}`);

net
  .createServer({ noDelay: true }, (socket) => {
    let rest = "";
    socket.on("error", () => socket.destroy());
    socket.on("data", (piece) => {
      rest += piece.toString("latin1");
      for (let end = rest.indexOf("\r\n\r\n"); end >= 0; end = rest.indexOf("\r\n\r\n")) {
        rest = rest.slice(end + 4);
        socket.write(answer);
      }
    });
  })
  .listen(port, "127.0.0.1");
