/** `sluice recordings`: what is kept for `sluice plan --replay`, on all gateways; `sluice recordings purge` forgets it. */
import { type AdminPlace, callAdmin, reaching } from "./admin-call.ts";
import { momentText, type Terminal } from "./terminal.ts";

export interface RecordingsOptions extends AdminPlace {
  readonly args: readonly [action: string | undefined];
}

const BAD_USAGE = 2;
const MOST = 10_000;

export async function recordings(options: RecordingsOptions, terminal: Terminal): Promise<number> {
  const [action] = options.args;
  if (action !== undefined && action !== "purge") {
    terminal.problem(`found ${action}, expected nothing, or purge`);
    return BAD_USAGE;
  }
  return reaching(terminal, async () => {
    if (action === "purge") {
      const answer = await callAdmin(options, "/v1/recordings/purge", {});
      terminal.result(answer, () => ["every recorded request is forgotten"]);
      return 0;
    }
    const { recordings: kept } = (await callAdmin(options, `/v1/recordings?last=${MOST}`)) as { recordings: { atUnixMs: number; release: string }[] };
    const releases = [...Map.groupBy(kept, ({ release }) => release)].map(([release, all]) => ({ release, requests: all.length }));
    const [first, last] = [kept[0], kept.at(-1)];
    terminal.result({ requests: kept.length, sinceUnixMs: first?.atUnixMs ?? null, untilUnixMs: last?.atUnixMs ?? null, releases }, () =>
      first === undefined
        ? ['no request is recorded; config\'s record: { share: "1%" } keeps some']
        : [
            `${kept.length} request${kept.length === 1 ? "" : "s"}, ${momentText(first.atUnixMs)} to ${momentText(last!.atUnixMs)} UTC`,
            ...releases.map(({ release, requests }) => `  ${release}: ${requests}`),
          ],
    );
    return 0;
  });
}
