import assert from "node:assert/strict";
import { test } from "node:test";
import { GatewayError } from "../../runtime/errors.ts";
import { NO_BODY } from "../../runtime/proxy/exchange.ts";
import { Fields } from "../../runtime/proxy/fields.ts";
import type { GatewayResponse } from "../../runtime/proxy/reply.ts";
import { Stage } from "./stage.ts";

test("three leaders in turn, then everybody who waited is told", async () => {
  const stage = new Stage(() => {
    throw new GatewayError("UPSTREAM_CONNECT_FAILED", "refused");
  });
  const answers = await Promise.all(
    Array.from({ length: 100 }, () => stage.get(new Fields()).then(statusOf, (thrown: unknown) => (thrown as GatewayError).status)),
  );
  assert.deepEqual(new Set(answers), new Set([502]));
  assert.deepEqual(stage.asked, ["lead", "lead", "lead"]);
});

test("a second leader that succeeds serves all who waited for the first", async () => {
  let failures = 1;
  const stage = new Stage(() => {
    if (failures-- > 0) throw new GatewayError("UPSTREAM_CONNECT_FAILED", "refused");
    return { fields: Fields.of(["cache-control", "max-age=60"]), body: "page" };
  });
  const answers = await Promise.all(Array.from({ length: 100 }, () => stage.get(new Fields()).then(statusOf)));
  assert.equal(answers.filter((status) => status === 200).length, 99);
  assert.deepEqual(stage.asked, ["lead", "lead"]);
});

test("what is stored covers a failing origin as long as that was allowed, and then no longer (RFC 5861 section 4)", async () => {
  let failing = false;
  const stage = new Stage(() => {
    if (failing) throw new GatewayError("UPSTREAM_CONNECT_FAILED", "refused");
    return { fields: Fields.of(["cache-control", "max-age=60, stale-if-error=60"]), body: "page" };
  });
  await stage.get(new Fields());
  failing = true;
  stage.clock.advance(119_000);
  assert.equal((await stage.get(new Fields())).status, 200);
  stage.clock.advance(2000);
  assert.equal((await stage.get(new Fields())).status, 502);
});

const statusOf = (response: GatewayResponse): number => {
  assert.ok(response.error === null || response.body === NO_BODY);
  return response.status;
};
