/** The door of HTML edits. */
export { editHtml, type EditBodyOptions } from "./body.ts";
export { compileEdits, findEditFaults, type CompiledEdits, type EditFault } from "./compile.ts";
export { HtmlEditor, type EditorOptions } from "./editor.ts";
export { editable, editedFields, type Editable, type PageCoding } from "./fields.ts";
