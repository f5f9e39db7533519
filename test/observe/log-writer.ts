/** Program of a test: writes that many exchanges to its standard output and ends. */
import { createLogSink } from "../../runtime/observe/log-sink.ts";
import { createObserver } from "../../runtime/observe/observe.ts";
import { ALL, record } from "./records.ts";

const sink = createLogSink(1);
const observer = createObserver({ log: ALL, sink, now: () => performance.now() });
process.on("exit", () => sink.flushSync());
const lines = Number(process.argv[2]);
const IN_ONE_TURN = 500;
let written = 0;
const write = () => {
  for (let i = 0; i < IN_ONE_TURN && written < lines; i++) observer.exchange(record({ id: `a-${written++}` }));
  if (written < lines) setImmediate(write);
};
write();
