/** A worker that counts, and whose store never answers: DIR UNITS BUFFER. Ends when it is killed. */
import { systemClock } from "../../../runtime/clock.ts";
import { GatewayError } from "../../../runtime/errors.ts";
import { WorkerCounting } from "../../../runtime/experiments/count/worker-counting.ts";
import { createMemoryStore } from "../../../runtime/store/store.ts";
import { assigned, exchange, goalOf, watched } from "./given.ts";

const [dir, units, bufferEvents] = process.argv.slice(2);
const store = createMemoryStore();
store.fail(new GatewayError("STORE_UNAVAILABLE", "never there"));
const worker = new WorkerCounting({
  store,
  clock: systemClock,
  dir: dir!,
  raw: null,
  warn: (text) => process.stderr.write(text),
  bufferEvents: Number(bufferEvents),
});
// Of an experiment with a pre-period, before any exposure.
worker.completed(
  [{ assignment: assigned("early", 0, { experiment: watched.key }), goal: goalOf("revenue", watched) }],
  exchange(Date.now(), { headers: { "x-total": "9" } }),
);
for (let i = 0; i < Number(units); i++) {
  const who = assigned(`u${i}`, i % 2);
  worker.exposed(who, exchange(Date.now()));
  worker.completed([{ assignment: who, goal: goalOf("purchase") }], exchange(Date.now(), { method: "POST", target: "/checkout" }));
}
process.stdout.write("counted\n");
setInterval(() => undefined, 1000);
