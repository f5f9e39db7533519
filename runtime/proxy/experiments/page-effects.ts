/**
 * Where variants edit pages: is there anything on this page that they edit? Asked for everybody who may be counted there, whichever variant it sees, so that
 * control's visitors are counted at the same pages as the others. Once a unit is counted nobody looks for it any more.
 */
import { Buffer } from "node:buffer";
import { changesPage, type CompiledEdits, editable, watchHtml, type WatchOptions } from "../../experiments/edits/edits.ts";
import type { Fields } from "../fields.ts";
import type { GatewayResponse } from "../reply.ts";
import { CountedResponse, expose, isEffective } from "./counts.ts";
import type { ExchangeExperiments } from "./exchange-experiments.ts";
import { type ExperimentEntry, NO_PAGE, type Page } from "./table.ts";

/**
 * Before variants change the response. A page that flows is looked at while it does, and counted when something is found; of a stored one it is known
 * from before, or worked out now: then by a promise where it has to be unpacked.
 */
export function lookAtPage(experiments: ExchangeExperiments, response: GatewayResponse, page: Page): Promise<void> | null {
  if (!page.isPage || !experiments.isCounted || experiments.redirected !== null) return null;
  const { matched, seat } = experiments;
  const stored = page.isWhole ? response.body.stored : undefined;
  let unseen: ExperimentEntry[] | null = null;
  let asking: Promise<void>[] | null = null;
  for (let i = 0; i < matched.length; i++) {
    const entry = matched[i]!;
    // Where headers differ, say, the page need not.
    if (!experiments.mayBeUnseen(i) || isEffective(experiments, entry, response, NO_PAGE)) continue;
    const changes = stored === undefined ? experiments.isTold(i) : seat.foundEdits.changes(stored, entry.pageEdits, response.fields);
    if (changes === true) continue;
    const list = (unseen ??= []);
    list.push(entry);
    if (changes !== false) (asking ??= []).push(changes.then((does) => void (does && list.splice(list.indexOf(entry), 1))));
  }
  if (unseen === null) return null;
  experiments.unseen = unseen;
  if (stored === undefined && page.isWhole) watch(experiments, unseen, response);
  return asking === null ? null : Promise.all(asking).then(() => undefined);
}

function watch(experiments: ExchangeExperiments, unseen: readonly ExperimentEntry[], response: GatewayResponse): void {
  const how = editable(response.status, response.fields);
  if (!how.editable) return;
  // What follows on the same exchange, a goal or an error, happened after it.
  const exchange = new CountedResponse(experiments, response);
  const watches = unseen.map((entry) => ({
    edits: entry.pageEdits,
    found: () => expose(experiments, experiments.assignments![experiments.matched.indexOf(entry)]!, exchange),
  }));
  response.body = watchHtml(response.body, watches, how);
  experiments.isWatched = true;
}

interface Read {
  /** As the fields say it: by that it is known again. */
  readonly type: string | undefined;
  readonly coding: string | undefined;
  readonly how: WatchOptions | null;
  readonly changes: WeakMap<readonly CompiledEdits[], boolean | Promise<boolean>>;
}

/** What was found on stored pages: read once for each set of edits, and forgotten with the page. */
export class FoundEdits {
  readonly #pages = new WeakMap<Buffer, Read>();

  changes(stored: Buffer, edits: readonly CompiledEdits[], fields: Fields): boolean | Promise<boolean> {
    const type = fields.get("content-type");
    const coding = fields.get("content-encoding");
    let read = this.#pages.get(stored);
    // A rule may say another character set of the same bytes.
    if (read === undefined || read.type !== type || read.coding !== coding) {
      const how = editable(OK, fields);
      this.#pages.set(stored, (read = { type, coding, how: how.editable ? how : null, changes: new WeakMap() }));
    }
    const { changes, how } = read;
    const known = changes.get(edits);
    if (known !== undefined) return known;
    const now = how !== null && changesPage(stored, edits, how);
    changes.set(edits, now);
    if (now instanceof Promise) void now.then((does) => changes.set(edits, does));
    return now;
  }
}

const OK = 200;
