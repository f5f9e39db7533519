/** What several edits of one element come to, in their order. */
import type { ElementAction } from "./compile.ts";
import type { Content } from "./content.ts";
import type { AttributeEdit } from "./start-tag.ts";

export interface ElementPlan {
  readonly before: Buffer[];
  /** Right behind the start tag. */
  prefix: Buffer[];
  /** Right before the end tag. */
  suffix: Buffer[];
  readonly after: Buffer[];
  readonly attributes: AttributeEdit[];
  drops: "nothing" | "inside" | "all";
  /** Inserted bytes, all together. */
  bytes: number;
}

/** `inside`: content as it must stand inside the element; `beside`: next to it. */
export function planOf(actions: readonly ElementAction[], inside: (content: Content) => Buffer, beside: (content: Content) => Buffer): ElementPlan {
  const plan: ElementPlan = { before: [], prefix: [], suffix: [], after: [], attributes: [], drops: "nothing", bytes: 0 };
  for (const action of actions) take(action, plan, inside, beside);
  return plan;
}

function take(action: ElementAction, plan: ElementPlan, inside: (content: Content) => Buffer, beside: (content: Content) => Buffer): void {
  // What was replaced or removed is no longer in the page, as in the DOM.
  if (plan.drops === "all") return;
  const made = (bytes: Buffer): Buffer => {
    plan.bytes += bytes.length;
    return bytes;
  };
  switch (action.kind) {
    case "before":
      plan.before.push(made(beside(action.content)));
      break;
    case "after":
      plan.after.unshift(made(beside(action.content)));
      break;
    case "prepend":
      plan.prefix.unshift(made(inside(action.content)));
      break;
    case "append":
      plan.suffix.push(made(inside(action.content)));
      break;
    case "content":
      plan.drops = "inside";
      plan.prefix = [made(inside(action.content))];
      plan.suffix = [];
      break;
    case "replace":
      plan.drops = "all";
      plan.before.push(made(beside(action.content)));
      break;
    case "remove":
      plan.drops = "all";
      break;
    case "attribute":
      plan.attributes.push(action.edit);
      break;
  }
}
