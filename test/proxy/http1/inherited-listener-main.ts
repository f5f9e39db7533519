/** A process of its own that accepts on descriptor 3, answers one request, closes its copy and leaves. */
import { LIMITS, ok } from "./front-harness.ts";
import { systemClock } from "../../../runtime/clock.ts";
import { createHttp1Front } from "../../../runtime/proxy/http1/front.ts";
import { listen } from "../../../runtime/proxy/listener.ts";

const fail = (error: Error): void => {
  throw error;
};
const front = createHttp1Front({
  limits: LIMITS,
  clock: systemClock,
  scheme: "http",
  connectionId: () => "1",
  onExchange: (exchange) => (ok(exchange), listener.stopAccepting(), front.drain()),
  onRefused: fail,
});
const listener = listen({ fds: [3] }, front, { limits: LIMITS, onRefused: fail });
await listener.ready;
console.log("listening");
