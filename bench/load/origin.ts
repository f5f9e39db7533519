/**
 * The origin of the benchmarks: answers every request with the same bytes, as cheaply as Node can. `node origin.ts PORT BYTES`
 * A path that begins with /check (or /new/check, after a rewrite) is answered with the head that arrived, so that the work of
 * each contender can be looked at before it is timed.
 */
import net from "node:net";

const [port = 0, bytes = 0] = process.argv.slice(2).map(Number);
const END_OF_HEAD = "\r\n\r\n";

function answerWith(body: string): Buffer {
  const head = `HTTP/1.1 200 OK\r\nServer: origin\r\nContent-Type: text/plain\r\nContent-Length: ${Buffer.byteLength(body)}\r\nCache-Control: max-age=60\r\nX-Trace-Id: 7f3a9c51d2e84b06\r\n\r\n`;
  return Buffer.from(head + body, "latin1");
}

const answer = answerWith("A".repeat(bytes));

net
  .createServer({ noDelay: true }, (socket) => {
    let rest = "";
    socket.on("error", () => socket.destroy());
    socket.on("data", (piece) => {
      rest += piece.toString("latin1");
      for (let end = rest.indexOf(END_OF_HEAD); end >= 0; end = rest.indexOf(END_OF_HEAD)) {
        const isCheck = rest.startsWith("GET /check") || rest.startsWith("GET /new/check");
        socket.write(isCheck ? answerWith(rest.slice(0, end)) : answer);
        rest = rest.slice(end + END_OF_HEAD.length);
      }
    });
  })
  // 1,000 connections come at once, from every contender.
  .listen({ port, host: "127.0.0.1", backlog: 4096 });
