import assert from "node:assert/strict";
import { test } from "node:test";
import { openShop } from "./open-shop.ts";

const shop = await openShop();

interface SandboxLine {
  readonly event: string;
  readonly pid: number;
}
/** Process ids of the sandboxes that the gateway has told of so far. */
const sandboxes = () =>
  shop.lines
    .filter((line) => line.startsWith("{"))
    .map((line) => JSON.parse(line) as SandboxLine)
    .filter(({ event }) => event === "sandbox-started")
    .map(({ pid }) => pid);

test("visitors under way notice nothing when every sandbox is killed", async () => {
  const victims = sandboxes();
  assert.ok(victims.length >= 2, shop.lines.join("\n"));
  let answered = 0;
  const visitor = async () => {
    for (let i = 0; i < 25; i++) {
      const answer = await fetch(`${shop.url}/p/101`, { signal: AbortSignal.timeout(20_000) });
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get("x-frame-options"), "DENY");
      assert.match(await answer.text(), /Ferry mug/);
      if (++answered === 50) process.kill(victims[0]!, "SIGKILL");
      if (answered === 120) for (const pid of victims.slice(1)) process.kill(pid, "SIGKILL");
    }
  };
  await Promise.all(Array.from({ length: 8 }, visitor));
  assert.equal(answered, 200);
});
