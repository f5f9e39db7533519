/** `kill -9` of the only worker while new clients keep coming: the listening socket is the supervisor's, so they wait instead of being refused. */
import net from "node:net";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { pause, startGateway, untilStatus } from "./gateway.ts";
import { startOrigin } from "./origin.ts";

const KILLS = 3;
const BETWEEN_CLIENTS_MS = 2;
const CLIENT_TIMEOUT_MS = 20_000;
const BEFORE_A_KILL_MS = 500;

export const killedWorker: Claim = {
  name: "killed-worker",
  asked: "kill -9 of the only worker under new connections: none refused",
  when: "always",
  measure,
};

/** "cut off": was being served by the worker that died. */
type Outcome = "answered" | "refused" | "cut off" | "timed out" | "another answer";

async function measure({ short, say }: Proof): Promise<Finding> {
  const origin = await startOrigin((_request, response) => response.end("from the origin"));
  const gateway = await startGateway({ command: "start", config: { upstreams: { origin: { targets: [origin.url] } } } });
  const outcomes = new Map<Outcome, number>();
  let longestMs = 0;
  const running = new Set<Promise<void>>();
  const timer = setInterval(() => {
    const startedMs = performance.now();
    const client = visit(gateway.port).then((outcome) => {
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
      if (outcome === "answered") longestMs = Math.max(longestMs, performance.now() - startedMs);
      running.delete(client);
    });
    running.add(client);
  }, BETWEEN_CLIENTS_MS);
  try {
    const kills = short ? 1 : KILLS;
    for (let kill = 1; kill <= kills; kill++) {
      await pause(BEFORE_A_KILL_MS);
      const { workers } = await untilStatus(gateway, (status) => status.workers.length === 1 && status.workers[0]!.state === "serving");
      process.kill(workers[0]!.pid, "SIGKILL");
      say(`  killed worker ${workers[0]!.pid}`);
      await untilStatus(gateway, (status) => status.workers.some(({ pid, state }) => pid !== workers[0]!.pid && state === "serving"));
    }
    await pause(BEFORE_A_KILL_MS);
    clearInterval(timer);
    await Promise.all(running);
    const of = (outcome: Outcome): number => outcomes.get(outcome) ?? 0;
    const total = [...outcomes.values()].reduce((sum, count) => sum + count, 0);
    const unexpected = of("timed out") + of("another answer");
    return judged(
      `${kills} kill${kills === 1 ? "" : "s"}, ${total.toLocaleString("en")} clients: ${of("refused")} refused, ${of("cut off")} cut off while the dead worker served them, ${of("answered").toLocaleString("en")} answered, the slowest after ${longestMs.toFixed(0)} ms`,
      [of("refused") > 0 && `${of("refused")} refused`, unexpected > 0 && `${of("timed out")} timed out, ${of("another answer")} were answered something else`],
    );
  } finally {
    clearInterval(timer);
    await gateway.stop();
    origin.close();
  }
}

function visit(port: number): Promise<Outcome> {
  return new Promise((resolve) => {
    const socket = net.connect({ port, host: "127.0.0.1" });
    let text = "";
    let broken = "";
    socket.setTimeout(CLIENT_TIMEOUT_MS, () => {
      broken = "ETIMEDOUT";
      socket.destroy();
    });
    socket.on("connect", () => socket.write("GET / HTTP/1.1\r\nHost: site.example.com\r\nConnection: close\r\n\r\n"));
    socket.on("data", (piece) => (text += piece.toString("latin1")));
    socket.on("error", (error: NodeJS.ErrnoException) => (broken ||= error.code ?? error.message));
    socket.on("close", () => resolve(outcomeOf(text, broken)));
  });
}

function outcomeOf(text: string, broken: string): Outcome {
  if (broken === "ECONNREFUSED") return "refused";
  if (broken === "ETIMEDOUT") return "timed out";
  if (text.startsWith("HTTP/1.1 200") && text.endsWith("from the origin")) return "answered";
  return text === "" || broken !== "" ? "cut off" : "another answer";
}
