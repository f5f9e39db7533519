/** The door of HTML edits. */
export { editHtml } from "./body.ts";
export { compileEdits, findEditFaults, type CompiledEdits } from "./compile.ts";
export { HtmlEditor, type EditorOptions } from "./editor.ts";
export { editable, editedFields, type PageCoding } from "./fields.ts";
