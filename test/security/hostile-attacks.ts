/** One way to run every attack: hit after hit amid visitors of healthy rules, with quarantine off and on. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { ErrorCode } from "../../runtime/errors.ts";
import { HostileGateway, type HostileOptions } from "./hostile-gateway.ts";
import type { Attack } from "./hostile-list.ts";

/** As many as are needed (`OFFENCES_TO_QUARANTINE`). */
const OFFENCES = 3;

/** A test for each attack with quarantine on: three offences, then it is not run any more; and, with it off, as many `hits` as given. */
export async function testAttacks(
  attacks: Readonly<Record<string, Attack>>,
  hitsWithoutQuarantine: number,
  options: Omit<HostileOptions, "rules"> = {},
): Promise<void> {
  const rules = Object.fromEntries(Object.entries(attacks).map(([name, { rule }]) => [pathOf(name), rule]));
  const lenient = await HostileGateway.open({ ...options, rules, quarantine: false });
  const strict = await HostileGateway.open({ ...options, rules, quarantine: true });
  for (const [name, { codes, quarantine = true }] of Object.entries(attacks)) {
    test(`${name}: answered by onFailure, named, and nobody else notices`, async () => {
      await lenient.warm();
      await lenient.amidVisitors(async () => {
        for (let hit = 0; hit < hitsWithoutQuarantine; hit++) await expectFailure(lenient, pathOf(name), codes);
      });
      assert.deepEqual(lenient.status.quarantined, []);
    });
    if (!quarantine) continue;
    test(`${name}: after three offences it is not run any more, and no sandbox is lost to it`, async () => {
      await strict.warm();
      await strict.amidVisitors(async () => {
        for (let hit = 0; hit < OFFENCES; hit++) await expectFailure(strict, pathOf(name), codes);
        await expectQuarantined(strict, pathOf(name));
      });
    });
  }
}

export function pathOf(name: string): string {
  return name.replaceAll(/[^a-z0-9]+/gi, "-");
}

async function expectFailure(gateway: HostileGateway, name: string, codes: readonly ErrorCode[]): Promise<void> {
  const before = gateway.failuresOf(name).length;
  const { status, code } = await gateway.ask(`/${name}`);
  assert.equal(status, 503);
  assert.ok(codes.includes(code as ErrorCode), `${code} where ${codes.join(" or ")} is expected`);
  const named = gateway.failuresOf(name).slice(before);
  assert.deepEqual(
    named.map(({ outcome }) => outcome),
    ["failed-closed"],
    "named in what is logged and counted",
  );
}

export async function expectQuarantined(gateway: HostileGateway, name: string): Promise<void> {
  assert.ok(gateway.status.quarantined.includes(`${name}.ts`), "named in the status");
  assert.equal(gateway.told.filter(({ event, rule }) => event === "quarantined" && rule === `${name}.ts`).length, 1, "told once");
  await gateway.warm();
  const lost = gateway.told.filter(({ event }) => event === "lost" || event === "isolate-lost").length;
  for (let hit = 0; hit < 20; hit++) assert.equal((await gateway.ask(`/${name}`)).code, "RULE_QUARANTINED");
  assert.equal(gateway.told.filter(({ event }) => event === "lost" || event === "isolate-lost").length, lost, "nothing was lost any more");
}
