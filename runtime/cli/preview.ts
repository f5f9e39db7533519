/** `sluice releases preview`: a header and a cookie with which requests run on a stored release, whatever serves. */
import type { ShelfEntry } from "../control/release-shelf.ts";
import { type AdminPlace, callAdmin, reaching } from "./admin-call.ts";
import { momentText, type Terminal } from "./terminal.ts";

export interface PreviewOptions extends AdminPlace {
  readonly args: readonly [string];
  readonly for: number;
}

const BAD_USAGE = 2;

export async function preview(options: PreviewOptions, terminal: Terminal): Promise<number> {
  const [asked] = options.args;
  return reaching(terminal, async () => {
    const { releases } = (await callAdmin(options, "/v1/releases")) as unknown as { releases: ShelfEntry[] };
    const fits = releases.filter(({ id }) => id.startsWith(asked));
    if (fits.length !== 1) {
      const found = fits.length === 0 ? "no release" : fits.map(({ id }) => id).join(" and ");
      terminal.problem(`found ${found} for "${asked}", expected one that sluice releases lists`);
      return BAD_USAGE;
    }
    const answer = await callAdmin(options, `/v1/releases/${fits[0]!.id}/preview`, { lifetimeMs: options.for });
    const { header, value, cookie, untilUnixMs } = answer as { header: string; value: string; cookie: string; untilUnixMs: number };
    terminal.result({ release: fits[0]!.id, ...answer }, () => [
      `${header}: ${value}`,
      "",
      `a request with this header runs on release ${fits[0]!.id} until ${momentText(untilUnixMs)} UTC:`,
      `  curl -H '${header}: ${value}' …`,
      "in a browser, on a page of the site, in its console:",
      `  document.cookie = "${cookie}"`,
    ]);
    return 0;
  });
}
