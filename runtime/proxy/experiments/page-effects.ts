/**
 * Where variants edit pages: is there anything on this page that they edit? Asked for everybody who may be counted there, whichever variant it sees, so that
 * control's visitors are counted at the same pages as the others. Once a unit is counted nobody looks for it any more.
 */
import { Buffer } from "node:buffer";
import { changesPage, type CompiledEdits, editable, watchHtml, type WatchOptions } from "../../experiments/edits/edits.ts";
import type { GatewayResponse } from "../reply.ts";
import { CountedResponse, expose, isEffective } from "./counts.ts";
import type { ExchangeExperiments } from "./exchange-experiments.ts";
import type { ExperimentEntry, Page } from "./table.ts";

/**
 * Before variants change the response. A page that flows is looked at while it does, and counted when something is found; of a stored one it is known
 * from before, or worked out now: then by a promise where it has to be unpacked.
 */
export function lookAtPage(experiments: ExchangeExperiments, response: GatewayResponse, page: Page): Promise<void> | null {
  if (!page.isPage || !experiments.isCounted || experiments.redirected !== null) return null;
  let unseen: Set<ExperimentEntry> | null = null;
  for (let i = 0; i < experiments.matched.length; i++) {
    const entry = experiments.matched[i]!;
    // Where headers differ, say, the page need not.
    if (experiments.isUnseen(i) && !isEffective(experiments, entry, response, NO_PAGE)) (unseen ??= new Set()).add(entry);
  }
  if (unseen === null) return null;
  experiments.unseen = unseen;
  const found = editable(response.status, response.fields);
  // An error, or a 304, in the page's place.
  if (!found.editable || response.error !== null) return null;
  const { stored } = response.body;
  if (stored !== undefined) return findStored(experiments, unseen, stored, found);
  watch(experiments, unseen, response, found);
  return null;
}

function watch(experiments: ExchangeExperiments, unseen: ReadonlySet<ExperimentEntry>, response: GatewayResponse, how: WatchOptions): void {
  // What follows on the same exchange, a goal or an error, happened after it.
  const exchange = new CountedResponse(experiments, response);
  const watches = [...unseen].map((entry) => ({
    edits: entry.pageEdits,
    found: () => expose(experiments, experiments.assignments![experiments.matched.indexOf(entry)]!, exchange),
  }));
  response.body = watchHtml(response.body, watches, how);
  experiments.isWatched = true;
}

function findStored({ seat }: ExchangeExperiments, unseen: Set<ExperimentEntry>, stored: Buffer, how: WatchOptions): Promise<void> | null {
  let asking: Promise<unknown>[] | null = null;
  for (const entry of unseen) {
    const changes = seat.foundEdits.changes(stored, entry.pageEdits, how);
    if (changes === true) unseen.delete(entry);
    else if (changes !== false) (asking ??= []).push(changes.then((does) => does && unseen.delete(entry)));
  }
  return asking === null ? null : Promise.all(asking).then(() => undefined);
}

interface Read extends WatchOptions {
  readonly changes: WeakMap<readonly CompiledEdits[], boolean | Promise<boolean>>;
}

/** What was found on stored pages: read once for each set of edits, and forgotten with the page. */
export class FoundEdits {
  readonly #pages = new WeakMap<Buffer, Read>();

  changes(stored: Buffer, edits: readonly CompiledEdits[], { charset, coding }: WatchOptions): boolean | Promise<boolean> {
    let read = this.#pages.get(stored);
    // A rule may say another character set of the same bytes.
    if (read === undefined || read.charset !== charset || read.coding !== coding) this.#pages.set(stored, (read = { charset, coding, changes: new WeakMap() }));
    const { changes } = read;
    const known = changes.get(edits);
    if (known !== undefined) return known;
    const now = changesPage(stored, edits, read);
    changes.set(edits, now);
    if (now instanceof Promise) void now.then((does) => changes.set(edits, does));
    return now;
  }
}

const NO_PAGE: Page = Object.freeze({ isPage: false });
