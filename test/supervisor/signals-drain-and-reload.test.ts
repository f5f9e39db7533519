import assert from "node:assert/strict";
import net from "node:net";
import { test } from "node:test";
import { ask, get, spawnGateway } from "./stub-gateway.ts";
import { isAlive, until } from "../support/until.ts";

const timeout = 60_000;

/** Opens /hold and resolves when its first part has come. */
function hold(port: number): Promise<{ rest: Promise<string> }> {
  return new Promise((resolve, reject) => {
    let text = "";
    let tell: (text: string) => void;
    const rest = new Promise<string>((told) => (tell = told));
    const socket = net.connect(port, "127.0.0.1", () => socket.write("GET /hold HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"));
    socket.on("data", (bytes) => {
      text += bytes.toString("latin1");
      if (text.includes("first,")) resolve({ rest });
    });
    socket.on("error", reject);
    socket.on("close", () => tell(text));
  });
}

test("TERM lets a running answer finish, refuses new connections, ends with 0 and leaves nobody", { timeout }, async (t) => {
  const gateway = await spawnGateway(t, { workers: 1 });
  const { rest } = await hold(gateway.port);
  gateway.signal("SIGTERM");
  assert.match(await rest, /last/);
  assert.equal(await gateway.exit, 0);
  for (const pid of gateway.workers) assert.equal(isAlive(pid), false);
  await assert.rejects(get(gateway.port), { code: "ECONNREFUSED" });
});

test("a second signal ends at once", { timeout }, async (t) => {
  const gateway = await spawnGateway(t, { workers: 1 });
  // A connection that never sends a whole request keeps the stub's drain open.
  const socket = net.connect(gateway.port, "127.0.0.1");
  socket.on("error", () => undefined);
  await new Promise<void>((resolve) => socket.write("GET / HT", () => resolve()));
  await ask(gateway.port);
  gateway.signal("SIGINT");
  await until(() => gateway.lines.some((line) => line.event === "draining"));
  gateway.signal("SIGINT");
  assert.equal(await gateway.exit, 1);
  await until(() => gateway.workers.every((pid) => !isAlive(pid)));
});

test("HUP takes a new config over on new workers", { timeout }, async (t) => {
  const gateway = await spawnGateway(t, { workers: 2 });
  assert.equal((await ask(gateway.port)).theme, "first");
  gateway.signal("SIGHUP");
  await until(() => gateway.lines.some((line) => line.event === "reloaded"));
  const answer = await ask(gateway.port);
  assert.equal(answer.theme, "second");
  assert.ok(!gateway.workers.includes(answer.pid));
});

test("HUP with an invalid config leaves all as it was and says why", { timeout }, async (t) => {
  const gateway = await spawnGateway(t, { workers: 1, reload: "invalid" });
  gateway.signal("SIGHUP");
  await until(() => gateway.lines.some((line) => line.event === "reload-refused"));
  const refused = gateway.lines.find((line) => line.event === "reload-refused")!;
  assert.match(String(refused.facts["reason"]), /wokers: unknown key/);
  const answer = await ask(gateway.port);
  assert.deepEqual([answer.theme, answer.pid], ["first", gateway.workers[0]]);
});

test("HUP with a config on which no worker starts goes back to the old one", { timeout }, async (t) => {
  const gateway = await spawnGateway(t, { workers: 2, reload: "crash" });
  gateway.signal("SIGHUP");
  await until(() => gateway.lines.some((line) => line.event === "reload-refused"));
  const refused = gateway.lines.find((line) => line.event === "reload-refused")!;
  assert.match(String(refused.facts["reason"]), /vars\.crash asks for it/);
  const answer = await ask(gateway.port);
  assert.equal(answer.theme, "first");
  assert.ok(gateway.workers.includes(answer.pid));
});

test("a supervisor that is killed leaves no worker and frees its port", { timeout }, async (t) => {
  const gateway = await spawnGateway(t, { workers: 2 });
  gateway.signal("SIGKILL");
  assert.equal(await gateway.exit, "SIGKILL");
  await until(() => gateway.workers.every((pid) => !isAlive(pid)));
  const server = net.createServer();
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(gateway.port, "127.0.0.1", resolve));
  server.close();
});
