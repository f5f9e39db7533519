/** HTML edits that rules asked for in `onResponse`, made on what is delivered. */
import { LRUCache } from "lru-cache";
import type { HtmlEdit } from "../../sdk/html.ts";
import { type CompiledEdits, compileEdits, editable, editedFields, editHtml } from "../experiments/edits/edits.ts";
import type { GatewayResponse } from "./reply.ts";

/** Rules ask for the same edits again and again. By their JSON, whose weight stands for what compiling makes of it. */
const compiled = new LRUCache<string, CompiledEdits>({ maxSize: 4 * 1024 * 1024, maxEntrySize: 256 * 1024, sizeCalculation: (_edits, json) => json.length });

/** `edits`: JSON of each, checked. Only whole HTML pages are edited; any other answer, and the gateway's own error pages, stay as they are. */
export function makeHtmlEdits(response: GatewayResponse, edits: readonly string[]): void {
  if (response.error !== null || response.tunnel !== null) return;
  const found = editable(response.status, response.fields);
  if (!found.editable) return;
  const json = `[${edits.join(",")}]`;
  let ready = compiled.get(json);
  if (ready === undefined) {
    ready = compileEdits(JSON.parse(json) as HtmlEdit[]);
    compiled.set(json, ready);
  }
  response.body = editHtml(response.body, ready, found);
  response.declaredLength = -1;
  editedFields(response.fields, ready);
}
