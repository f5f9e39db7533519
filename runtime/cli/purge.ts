/** `sluice purge`: takes answers out of the cache of every gateway. */
import { callAdmin, type AdminPlace, reaching } from "./admin-call.ts";
import type { Terminal } from "./terminal.ts";

export interface PurgeOptions extends AdminPlace {
  readonly url?: string;
  readonly prefix?: string;
  readonly tag?: string;
  readonly all: boolean;
  readonly soft: boolean;
}

const BAD_USAGE = 2;

export async function purge(options: PurgeOptions, terminal: Terminal): Promise<number> {
  const { url, prefix, tag, all, soft } = options;
  const asked = {
    ...(url === undefined ? {} : { url }),
    ...(prefix === undefined ? {} : { prefix }),
    ...(tag === undefined ? {} : { tag }),
    ...(all ? { all } : {}),
  };
  const names = Object.keys(asked);
  if (names.length !== 1) {
    terminal.problem(
      `found ${names.length === 0 ? "nothing to purge" : names.map((name) => `--${name}`).join(" and ")}, expected exactly one of --url, --prefix, --tag and --all`,
    );
    return BAD_USAGE;
  }
  return reaching(terminal, async () => {
    const answer = await callAdmin(options, "/v1/cache/purge", { ...asked, soft });
    const what = all ? "everything" : `${names[0]} ${url ?? prefix ?? tag}`;
    terminal.result(answer, () => [`${soft ? "made stale" : "purged"} ${what} on ${String(answer["workers"])} worker${answer["workers"] === 1 ? "" : "s"}`]);
    return 0;
  });
}
