/** What an experiment costs a request that it assigns and does not change. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";

const MOST_US = 2;
const ROUNDS = 60;

export interface Cost {
  /** Of one request without experiments, from head to tail. */
  readonly requestUs: number;
  readonly addedUs: number;
  /** Each way. */
  readonly requests: number;
  readonly visitors: number;
}

export const assignedUnchanged: Claim = {
  name: "assigned-unchanged",
  asked: `an assigned but unchanged request: added CPU at most ${MOST_US} µs`,
  when: "always",
  measure,
};

async function measure({ short }: Proof): Promise<Finding> {
  // As the supervisor starts workers.
  const flags = ["--conditions=sluice-source", "--no-allocation-site-pretenuring"];
  const child = fork(join(import.meta.dirname, "assigned-unchanged-main.ts"), [String(short ? 4 : ROUNDS)], { execArgv: flags });
  const ended = once(child, "exit").then(([code]) => Promise.reject(new Error(`what measures ended with ${String(code)}`)));
  const [{ requestUs, addedUs, requests, visitors }] = (await Promise.race([once(child, "message"), ended])) as [Cost];
  return judged(
    `a hit takes ${requestUs.toFixed(2)} µs of CPU from head to tail without an experiment, and ${addedUs.toFixed(2)} µs more with one that matches, assigns control and counts (medians over ${requests} requests of ${visitors} visitors, with and without in turn)`,
    [addedUs > MOST_US && `above ${MOST_US} µs`],
  );
}
