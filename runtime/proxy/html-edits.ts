/** HTML edits that rules asked for in `onResponse`, made on what is delivered. */
import { LRUCache } from "lru-cache";
import { asGatewayError, GatewayError } from "../errors.ts";
import {
  type AskElements,
  type CompiledEdits,
  compileEdits,
  editable,
  editedFields,
  editHtml,
  type ElementAnswers,
  type FoundElement,
  type PageEdit,
} from "../experiments/edits/edits.ts";
import type { AskedElement, ElementPort } from "../sandbox/sandbox.ts";
import { beginBody } from "./begun-body.ts";
import type { GatewayResponse } from "./reply.ts";

/** Rules ask for the same edits again and again. By their JSON, whose weight stands for what compiling makes of it. */
const compiled = new LRUCache<string, CompiledEdits>({ maxSize: 4 * 1024 * 1024, maxEntrySize: 256 * 1024, sizeCalculation: (_edits, json) => json.length });

/**
 * `edits`: JSON of each, checked. Only whole HTML pages are edited; any other answer, and the gateway's own error pages, stay as they are.
 * A page with element callbacks is waited for until its first bytes are there: so that a rule that fails on them can still be answered by an error. Null: all is well.
 */
export async function makeHtmlEdits(response: GatewayResponse, edits: readonly string[], ports: readonly ElementPort[] | null): Promise<GatewayError | null> {
  if (response.error !== null || response.tunnel !== null) return null;
  const found = editable(response.status, response.fields);
  if (!found.editable) return null;
  try {
    const ready = compiledOf(`[${edits.join(",")}]`);
    response.declaredLength = -1;
    editedFields(response.fields, ready);
    if (!ready.asks) response.body = editHtml(response.body, ready, found);
    else response.body = await beginBody(editHtml(response.body, ready, { ...found, ask: asking(ports ?? []) }));
    return null;
  } catch (thrown) {
    return asGatewayError(thrown);
  }
}

function compiledOf(json: string): CompiledEdits {
  let ready = compiled.get(json);
  if (ready === undefined) {
    ready = compileEdits(JSON.parse(json) as PageEdit[]);
    compiled.set(json, ready);
  }
  return ready;
}

/** Each hook call has its own callbacks, and all are asked at once. */
function asking(ports: readonly ElementPort[]): AskElements {
  return async (elements) => {
    const answers = elements.map(({ callbacks }) => callbacks.map((): ElementAnswers[number][number] => []));
    await Promise.all(
      ports.map(async (port) => {
        const places: { readonly element: number; readonly callbacks: readonly number[] }[] = [];
        const asked = elements.flatMap((found, element): AskedElement[] => {
          const callbacks = [...found.callbacks.keys()].filter((i) => portOf(ports, found.callbacks[i]!.rule) === port);
          if (callbacks.length === 0) return [];
          places.push({ element, callbacks });
          return [askedElement(found, callbacks)];
        });
        if (asked.length === 0) return;
        const told = await port.ask(asked);
        for (const [i, { element, callbacks }] of places.entries()) for (const [j, callback] of callbacks.entries()) answers[element]![callback] = told[i]![j]!;
      }),
    );
    return answers;
  };
}

function askedElement({ tag, attributes, callbacks }: FoundElement, which: readonly number[]): AskedElement {
  return { tag, attributes, calls: which.map((i) => [callbacks[i]!.rule, callbacks[i]!.handler]) };
}

/** The last one, for a hook call that was cut in two and run again. */
function portOf(ports: readonly ElementPort[], rule: number): ElementPort {
  const port = ports.findLast(({ rules }) => rules.includes(rule));
  if (port === undefined) throw new GatewayError("INTERNAL", `the element callbacks of rule ${rule} are gone`);
  return port;
}
