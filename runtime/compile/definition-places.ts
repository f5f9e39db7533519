/** Where in a module's TypeScript something stands that `defineExperiment` was given: "apply.bold.html[1]" as a file, a line and a column. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { originalPositionFor, TraceMap } from "@jridgewell/trace-mapping";
import { type CallExpression, parse, type Property } from "acorn";
import { childrenOf, keyOf, type Node, nameOf, unwrapped } from "./syntax.ts";

/** Names and indexes from the definition down; within a call, the index of an argument. */
export type DefinitionPath = readonly (string | number)[];

export interface SourcePlace {
  /** Relative to the project. */
  readonly source: string;
  readonly line: number;
  readonly column: number;
}

/** Constants that stand for other constants. */
const MAX_HOPS = 8;

/** Of one module: its bundle is read once somebody asks. */
export class DefinitionPlaces {
  readonly #baseDir: string;
  readonly #map: TraceMap;
  readonly #constants = new Map<string, Node>();
  readonly #calls: CallExpression[] = [];

  constructor(baseDir: string, { code, map }: { readonly code: string; readonly map: string }) {
    this.#baseDir = baseDir;
    this.#map = new TraceMap(map);
    this.#read(parse(code, { ecmaVersion: "latest", sourceType: "script", locations: true }));
  }

  /** As deep as the path can be followed; `offset`: so many characters into the text that stands there. Null: there is no definition to be seen. */
  at(wanted: DefinitionPath, offset = 0): SourcePlace | null {
    const call = this.#calls.at(-1);
    const definition = call?.arguments[0];
    if (call === undefined || definition === undefined) return null;
    let place: Node = call;
    let value: Node = definition;
    let left = wanted;
    while (left.length > 0) {
      const found = this.#below(value, left[0]!);
      if (found === null) break;
      ({ value, place } = found);
      left = left.slice(1);
    }
    return this.#original(place, left.length === 0 ? offset : 0);
  }

  /** The same for a path as an error's message has it: "apply.bold.html[1]", where names may hold dots. */
  atText(text: string): SourcePlace | null {
    const steps: (string | number)[] = [];
    let value = this.#calls.at(-1)?.arguments[0] as Node | undefined;
    for (let rest = text; rest !== "" && value !== undefined;) {
      const index = /^\[(\d+)\]\.?/.exec(rest);
      const name = index === null ? this.#longestName(value, rest) : "";
      if (index === null && name === "") break;
      steps.push(index === null ? name : Number(index[1]));
      rest = rest.slice(index === null ? name.length : index[0].length).replace(/^\./, "");
      value = this.#below(value, steps.at(-1)!)?.value;
    }
    return this.at(steps);
  }

  #read(program: Node): void {
    for (const node of childrenOf(program)) {
      if (node.type === "VariableDeclarator" && node.id.type === "Identifier" && node.init) this.#constants.set(node.id.name, node.init);
      if (node.type === "CallExpression" && this.#makesExperiment(node)) this.#calls.push(node);
      this.#read(node);
    }
  }
  #makesExperiment({ callee }: CallExpression): boolean {
    const called = unwrapped(callee);
    return called.type === "MemberExpression" ? nameOf(called) === "defineExperiment" : called.type === "Identifier" && called.name === "defineExperiment";
  }

  /** What stands below `value` under that name, and the node to point at. */
  #below(value: Node, step: string | number): { readonly value: Node; readonly place: Node } | null {
    const node = this.#resolved(value);
    if (typeof step === "number") {
      const items = node.type === "ArrayExpression" ? node.elements : node.type === "CallExpression" ? node.arguments : [];
      const item = items[step];
      return item ? { value: item as Node, place: item as Node } : null;
    }
    const property = this.#propertiesOf(node).find((candidate) => keyOf(candidate) === step);
    if (property === undefined) return null;
    const inside = property.value as Node;
    // Of what has parts the name is pointed at, of a plain value the value.
    const { type } = inside;
    return { value: inside, place: type === "Literal" || type === "TemplateLiteral" || type === "UnaryExpression" ? inside : property.key };
  }

  #longestName(value: Node, rest: string): string {
    let longest = "";
    for (const property of this.#propertiesOf(this.#resolved(value))) {
      const name = keyOf(property) ?? "";
      const fits = rest === name || rest.startsWith(`${name}.`) || rest.startsWith(`${name}[`);
      if (fits && name.length > longest.length) longest = name;
    }
    return longest;
  }

  #propertiesOf(node: Node): Property[] {
    return node.type === "ObjectExpression" ? node.properties.filter((property) => property.type === "Property") : [];
  }

  #resolved(node: Node): Node {
    let at = unwrapped(node);
    for (let hops = 0; at.type === "Identifier" && hops < MAX_HOPS; hops++) {
      const constant = this.#constants.get(at.name);
      if (constant === undefined) return at;
      at = unwrapped(constant);
    }
    return at;
  }

  #original(node: Node, offset: number): SourcePlace | null {
    const { line, column } = node.loc!.start;
    const { source, line: sourceLine, column: sourceColumn } = originalPositionFor(this.#map, { line, column });
    if (source === null) return null;
    return { source, line: sourceLine, column: sourceColumn + 1 + this.#into(node, source, sourceLine, sourceColumn, offset) };
  }

  /** Characters of a text are where they seem when it is written without escapes. */
  #into(node: Node, source: string, line: number, column: number, offset: number): number {
    if (node.type !== "Literal" || typeof node.value !== "string" || offset === 0) return 0;
    const written = readFileSync(path.resolve(this.#baseDir, source), "utf8").split(/\r?\n/)[line - 1]!.slice(column);
    return written.slice(1).startsWith(node.value) ? 1 + offset : 0;
  }
}
