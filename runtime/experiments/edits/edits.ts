/** The door of HTML edits. */
export type { AskElements, ElementAnswers, FoundElement } from "./asking-editor.ts";
export { editHtml } from "./body.ts";
export { compileEdits, findEditFaults, type CompiledEdits, type ElementCallback, type PageEdit } from "./compile.ts";
export { HtmlEditor, type EditorOptions } from "./editor.ts";
export { editable, editedFields, isEditable, type PageCoding } from "./fields.ts";
export { type Compound, readSelector, type SelectorStep } from "./selector.ts";
export { changesPage, watchHtml, type WatchOptions } from "./watched-page.ts";
