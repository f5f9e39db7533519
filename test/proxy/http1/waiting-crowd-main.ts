/** A process of its own that accepts on the descriptors from 3 on, but not before it is told to, and says how many turns it took for so many connections. */
import { readSync } from "node:fs";
import { LIMITS, ok } from "./front-harness.ts";
import { systemClock } from "../../../runtime/clock.ts";
import { createHttp1Front } from "../../../runtime/proxy/http1/front.ts";
import { ACCEPTS_PER_TURN, listen } from "../../../runtime/proxy/listener.ts";

const crowd = Number(process.argv[2]);
const fail = (error: Error): void => {
  throw error;
};
const limits = { ...LIMITS, connections: crowd, connectionsPerClient: crowd };
const front = createHttp1Front({ limits, clock: systemClock, scheme: "http", connectionId: () => "1", onExchange: ok, onRefused: fail });
const listener = listen({ fds: Array.from({ length: ACCEPTS_PER_TURN }, (_, i) => 3 + i) }, front, { limits, onRefused: fail });
await listener.ready;
console.log("listening");
// Nothing is accepted while this waits.
readSync(0, Buffer.alloc(1));
let turns = 0;
const turn = (): void => {
  turns++;
  if (listener.accepted < crowd) setImmediate(turn);
  else {
    console.log(turns);
    listener.stopAccepting();
    front.drain();
  }
};
setImmediate(turn);
