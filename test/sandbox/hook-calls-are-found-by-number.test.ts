import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CallTable } from "../../runtime/sandbox/call-table.ts";

test("a table of calls behaves as a map by growing numbers does, however long some of them stay", () => {
  const step = fc.oneof({ weight: 3, arbitrary: fc.constant("add" as const) }, { weight: 2, arbitrary: fc.nat(300) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 600 }), fc.nat(10_000), (steps, first) => {
      const table = new CallTable<{ number: number }>();
      const model = new Map<number, { number: number }>();
      let next = first;
      for (const what of steps) {
        if (what === "add") {
          const call = { number: next++ };
          table.add(call);
          model.set(call.number, call);
        } else {
          const number = next - 1 - what;
          table.delete(number);
          model.delete(number);
        }
      }
      assert.equal(table.size, model.size);
      assert.deepEqual(table.list(), [...model.values()]);
      for (let number = first - 2; number < next + 2; number++) assert.equal(table.get(number), model.get(number));
      table.clear();
      assert.deepEqual([table.size, table.list(), table.get(first)], [0, [], undefined]);
    }),
  );
});
