import assert from "node:assert/strict";
import net from "node:net";
import { test } from "node:test";
import { ask, startStub, stubConfig } from "./stub-gateway.ts";
import { until } from "../support/until.ts";

/** Resolves with "answered", "reset" (it was with the killed worker) or the error of connecting. */
function knock(port: number): Promise<string> {
  return new Promise((resolve) => {
    let connected = false;
    let text = "";
    const socket = net.connect(port, "127.0.0.1", () => {
      connected = true;
      socket.write("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    });
    socket.on("data", (bytes) => (text += bytes.toString("latin1")));
    socket.on("error", (error: NodeJS.ErrnoException) => resolve(connected ? "reset" : (error.code ?? "error")));
    socket.on("close", () => resolve(text.startsWith("HTTP/1.1 200") ? "answered" : "reset"));
  });
}

test("kill -9 of the only worker under new connections: none refused, all that came after are answered", { timeout: 60_000 }, async (t) => {
  const { supervisor, port } = await startStub(t, stubConfig());
  const outcomes = new Map<string, number>();
  let pid = (await ask(port)).pid;
  for (let kills = 0; kills < 3; kills++) {
    process.kill(pid, "SIGKILL");
    // From here on the listening socket is the supervisor's alone, until the next worker takes it up.
    const knocks = await Promise.all(Array.from({ length: 100 }, () => knock(port)));
    for (const outcome of knocks) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    const last = pid;
    pid = (await ask(port)).pid;
    assert.notEqual(pid, last);
  }
  assert.equal(outcomes.get("ECONNREFUSED") ?? 0, 0);
  // The kill and the knocks race: those which the dying worker had accepted are reset. Those of later kills are in the majority.
  assert.equal((outcomes.get("answered") ?? 0) + (outcomes.get("reset") ?? 0), 300);
  assert.ok((outcomes.get("answered") ?? 0) > 0);
  await until(() => (supervisor.status().workerRestarts["killed"] ?? 0) === 3);
});
