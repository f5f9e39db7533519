/** `sluice explain URL`: what a request would get from the gateway that runs, and why. */
import type { Explanation } from "../proxy/explanation.ts";
import { callAdmin, type AdminPlace, reaching } from "./admin-call.ts";
import { explanationLines } from "./explain-text.ts";
import type { Terminal } from "./terminal.ts";

export interface ExplainOptions extends AdminPlace {
  readonly header: readonly string[];
  readonly method: string;
  readonly client?: string;
  readonly country?: string;
  readonly debugHeader: boolean;
  readonly args: readonly [url: string | undefined];
}

const BAD_USAGE = 2;

/** For a request that is really made. */
async function debugHeader(options: ExplainOptions, terminal: Terminal): Promise<number> {
  return reaching(terminal, async () => {
    const signed = await callAdmin(options, "/v1/debug", {});
    terminal.result(signed, () => [`${String(signed["header"])}: ${String(signed["value"])}`]);
    return 0;
  });
}

export async function explain(options: ExplainOptions, terminal: Terminal): Promise<number> {
  if (options.debugHeader) return debugHeader(options, terminal);
  const [url = "no URL"] = options.args;
  const odd = options.header.find((line) => !/^[^:\s]+:/.test(line));
  if (odd !== undefined || !/^https?:\/\//i.test(url)) {
    terminal.problem(
      odd === undefined ? `found ${url}, expected a URL with http:// or https://` : `found -H ${JSON.stringify(odd)}, expected -H "name: value"`,
    );
    return BAD_USAGE;
  }
  const headers = options.header.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]);
  return reaching(terminal, async () => {
    const asked = {
      url,
      method: options.method,
      headers,
      ...(options.client === undefined ? {} : { client: options.client }),
      ...(options.country === undefined ? {} : { country: options.country }),
    };
    const explanation = (await callAdmin(options, "/v1/explain", asked)) as unknown as Explanation;
    terminal.result(explanation, () => explanationLines(explanation));
    return 0;
  });
}
