import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { test } from "node:test";
import { sluice } from "../e2e/sluice-command.ts";
import { gateway, tailing, TOKEN } from "../observe/tailed-gateway.ts";
import { DEBUG_LONGEST_MS, debugToken, isDebugToken } from "../../runtime/security/debug-token.ts";

const KEY = "0".repeat(64);
const NOW = Date.UTC(2026, 0, 1);

test("a token counts until its time, with its key, unchanged", () => {
  const token = debugToken(KEY, NOW + 60_000);
  assert.equal(isDebugToken(KEY, token, NOW), true);
  assert.equal(isDebugToken(KEY, token, NOW + 60_000), false);
  assert.equal(isDebugToken("1".repeat(64), token, NOW), false);
  assert.equal(isDebugToken(KEY, debugToken(KEY, NOW + 2 * DEBUG_LONGEST_MS), NOW), false);
  for (const odd of ["", "v1", `${token}x`, token.slice(0, -1), token.replace("v1", "v2"), `v1.zzzzzzz.${token.split(".")[2]}`])
    assert.equal(isDebugToken(KEY, odd, NOW), false);
});

const RULE = `import { defineRule } from "sluice";

export default defineRule({
  onRequest(req, ctx) {
    req.headers.set("x-seen", String(req.headers.get("sluice-debug")));
    ctx.log.info("it passes");
  },
});
`;

test("a signed header adds Server-Timing and an id to look at with tail; no rule and no origin sees it, good or bad", { timeout: 60_000 }, async (t) => {
  const seen: (string | undefined)[] = [];
  const origin = createServer((request, response) => {
    seen.push(String(request.headers["sluice-debug"]), String(request.headers["x-seen"]));
    response.end("origin");
  });
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
  t.after(() => origin.close());
  const served = await gateway(t, {
    config: { upstreams: { site: { targets: [`http://127.0.0.1:${(origin.address() as AddressInfo).port}`] } } },
    rules: { "pass.ts": RULE },
  });
  assert.equal(statSync(path.join(served.folder, "state/debug-key")).mode & 0o777, 0o600);
  process.env["SLUICE_ADMIN_TOKEN"] = TOKEN;
  const { text } = await sluice(served.folder, ["explain", "--debug-header", "--admin", served.admin]);
  const [, value] = /^sluice-debug: (\S+)$/m.exec(text) ?? [];
  const asked = async (token: string) => (await fetch(`${served.url}/page`, { headers: { "sluice-debug": token } })).headers;

  const headers = await asked(value!);
  assert.match(headers.get("server-timing") ?? "", /^total;dur=[\d.]+, rules;dur=[\d.]+, upstream;dur=[\d.]+, from;desc=upstream$/);
  const id = headers.get("sluice-trace")!;
  assert.equal(id, headers.get("x-request-id"));
  const forged = await asked(`${value}x`);
  assert.deepEqual([forged.get("server-timing"), forged.get("sluice-trace")], [null, null]);
  assert.deepEqual(seen, ["undefined", "null", "undefined", "null"]);

  // It is over; what was kept of it is shown all the same.
  const live = await tailing(t, [served], "--trace", id);
  await live.event(({ type }) => type === "exchange");
  const [, log, step, exchange] = live.events;
  assert.deepEqual([log?.["type"], log?.["text"]], ["log", "it passes"]);
  assert.deepEqual([step?.["text"], String(step?.["place"]).replace(/:\d+$/, "")], ["header x-seen: (none) → null", "rules/pass.ts:5"]);
  assert.equal(exchange?.["id"], id);
});
