/** Looks at what a contender does before it is timed: one that skipped the work would win. */
import { ask, type Server } from "./processes.ts";
import { pathOf, variantOf, type Work } from "./work.ts";
import { REQUEST_HEADERS } from "./wrk.ts";

/** Throws with all that is missing. `hash`: only FNV-1a can be foretold. */
export async function checkWork(server: Server, work: Work, hash: string): Promise<void> {
  const answer = await ask(server.port, pathOf(work, "check"), REQUEST_HEADERS);
  const boundary = answer.indexOf("\r\n\r\n");
  const response = answer.slice(0, boundary).toLowerCase();
  const request = answer.slice(boundary + 4).toLowerCase();
  const told = /^x-variant: ([ab])\r?$/m.exec(request)?.[1];
  const agent = REQUEST_HEADERS.find((header) => header.startsWith("User-Agent: "))!.slice("User-Agent: ".length);
  const hooked = work.hooks !== "none";
  const faults = [
    !response.startsWith("http/1.1 200") && "does not answer 200",
    !request.includes(`get ${hooked ? "/new/check" : "/check"} http/1.1`) && "asks the origin for another path",
    hooked && told === undefined && "does not tell the origin the variant",
    hooked && hash === "FNV-1a" && told !== variantOf(agent) && "hashes to another variant",
    hooked && request.includes("x-debug:") && "leaves X-Debug in the request",
    work.hooks === "both" && !response.includes(`x-variant: ${told}`) && "does not put the variant into the response",
    work.hooks === "both" && response.includes("x-trace-id:") && "leaves X-Trace-Id in the response",
  ].filter(Boolean);
  if (faults.length > 0)
    throw new Error(`${server.name} does not do the work "${work.name}": it ${faults.join(", ")}. It answered:\n${answer.slice(0, 2_000)}`);
}
