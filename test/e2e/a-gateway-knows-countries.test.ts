import assert from "node:assert/strict";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { writeFileSync } from "node:fs";
import { test } from "node:test";
import type { Explanation } from "../../runtime/proxy/explanation.ts";
import { countryDatabase, countryFile } from "../support/country-database.ts";
import { startGateway } from "../support/running-gateway.ts";
import { sluice } from "./sluice-command.ts";

const RULE = `import { defineRule, respond } from "sluice";

export default defineRule({
  when: { path: "/offers", country: "DE" },
  onRequest: () => respond(200, "Angebote"),
});
`;

const TOKEN = "a-token-for-tests-of-countries";

test("a gateway finds clients in its database, explains it, and reads a new one at a reload", { timeout: 60_000 }, async (t) => {
  const origin = createServer((_request, response) => response.end("offers"));
  await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
  t.after(() => origin.close());
  const database = countryFile(t, { "203.0.113.0/24": "DE" }, { type: "First" });
  const gateway = await startGateway({
    config: {
      upstreams: { site: { targets: [`http://127.0.0.1:${(origin.address() as AddressInfo).port}`] } },
      trustedProxies: ["127.0.0.1"],
      geo: { database },
    },
    rules: { "offers.ts": RULE },
    env: { SLUICE_ADMIN_TOKEN: TOKEN },
  });
  t.after(() => gateway.stop());
  const { process: running } = gateway;
  await running.printed(/geo\.database: \\"First\\", built on 2026-11-01/);
  const offers = async (address: string): Promise<string> =>
    (await fetch(`${gateway.url}/offers`, { headers: { "x-forwarded-for": address, connection: "close" } })).text();
  assert.deepEqual([await offers("203.0.113.7"), await offers("198.51.100.7")], ["Angebote", "offers"]);

  const [, admin] = await running.printed(/admin on (\S+)/);
  process.env["SLUICE_ADMIN_TOKEN"] = TOKEN;
  const explain = async (...args: string[]): Promise<{ code: number; text: string }> =>
    sluice(gateway.folder, ["explain", "--admin", admin!, "http://shop.test/offers", ...args]);
  const explained = async (asked: object): Promise<[country: unknown, rules: string[]]> => {
    const headers = { authorization: `Bearer ${TOKEN}`, "content-type": "application/json" };
    const answer = await fetch(`${admin}/v1/explain`, { method: "POST", headers, body: JSON.stringify({ url: "http://shop.test/offers", ...asked }) });
    const { request, matched } = (await answer.json()) as Explanation;
    return [request.country, matched.map(({ name }) => name)];
  };
  assert.deepEqual(await explained({ client: "203.0.113.7" }), ["DE", ["offers.ts"]]);
  assert.deepEqual(await explained({ client: "203.0.113.7", country: "FR" }), ["FR", []]);
  assert.match((await explain("--country", "DE")).text, /^GET http:\/\/shop\.test\/offers from 127\.0\.0\.1 in DE, on release/);
  const refused = await explain("--country", "Germany");
  assert.deepEqual([refused.code, /country "Germany".*a code of two capitals, such as "DE"/s.test(refused.text)], [1, true], refused.text);

  writeFileSync(database, countryDatabase({ "198.51.100.0/24": "DE" }, { type: "Second" }));
  running.child.kill("SIGHUP");
  await running.printed(/"event":"reloaded"/);
  await running.printed(/geo\.database: \\"Second\\"/);
  assert.deepEqual([await offers("203.0.113.7"), await offers("198.51.100.7")], ["offers", "Angebote"]);

  writeFileSync(database, "no database");
  running.child.kill("SIGHUP");
  await running.printed(/"event":"reload-refused".*geo\.database.*is no MaxMind DB/);
  assert.equal(await offers("198.51.100.7"), "Angebote");
});
