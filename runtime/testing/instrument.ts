/**
 * A rule's script with a counter before each statement, so that a test can tell which lines of TypeScript ran. Counters stand on the lines of
 * what they count and the source map is moved along, so stacks name the same places as before. What was hit first leaves the sandbox as a
 * line of the rule's log: the sandbox itself is the one of production.
 */
import { decodedMappings, encodedMap, originalPositionFor, TraceMap } from "@jridgewell/trace-mapping";
import * as acorn from "acorn";

/** Where a statement stands in TypeScript. */
export interface Point {
  readonly source: string;
  readonly line: number;
  readonly column: number;
  readonly endLine: number;
  /** Runs whenever its module is loaded. */
  readonly atLoad: boolean;
}

export interface Instrumented {
  readonly code: string;
  readonly map: string;
  /** By number of the counter. */
  readonly points: readonly Point[];
}

/** Before a log line that tells of counters; no rule's own begins so. */
const MARK = "\u0001coverage ";
/** Numbers to base 36, few enough for one log line of 8 KiB. */
const BASE = 36;
const NUMBERS_PER_LINE = 1000;
/** What the bundler writes for modules is said to stand at their imports, or at their very beginning. */
const NO_STATEMENT = /^(?:import\b(?!\s*\()|export\s*[*{]|\/[/*]|\s*$)/;
const STRICT = '"use strict";';
const END = "return module.exports})";

/** The numbers of counters that were hit; null: another line. */
export function hitsIn(text: string): number[] | null {
  if (!text.startsWith(MARK)) return null;
  return text
    .slice(MARK.length)
    .split(",")
    .map((number) => Number.parseInt(number, BASE));
}

/** `code`: as `bundleRules` makes it, not minified. `wanted`: is this source to be counted? */
export function instrument(code: string, mapText: string, wanted: (source: string) => boolean): Instrumented {
  const map = new TraceMap(mapText);
  const walk = new Walk(map, wanted);
  walk.visit(acorn.parse(code, { ecmaVersion: "latest", sourceType: "script", locations: true }), 0, true);
  const { inserts, points } = walk;
  inserts.push({ at: code.indexOf(STRICT) + STRICT.length, end: false, text: counter(points.length) });
  inserts.push({ at: code.lastIndexOf(END), end: true, text: "$c.loaded();" });
  inserts.sort((a, b) => a.at - b.at || Number(b.end) - Number(a.end));
  return { code: inserted(code, inserts), map: moved(map, code, inserts), points };
}

interface Insert {
  readonly at: number;
  /** Closes what began before: comes before what begins here. */
  readonly end: boolean;
  readonly text: string;
}

/**
 * Hits are gathered while the module is loaded or a hook runs, and leave when that returns. Others (behind an `await`, in what is called for an element) leave at once,
 * and once more with the next hook: nobody can tell from inside whether their line is still taken.
 */
function counter(count: number): string {
  return (
    `var $c=(function(){var log=console.log,seen=new Uint8Array(${count}),fresh=[],late=[],depth=1;` +
    `function tell(list){for(var i=0;i<list.length;i+=${NUMBERS_PER_LINE})log(${JSON.stringify(MARK)}+list.slice(i,i+${NUMBERS_PER_LINE}).map(function(n){return n.toString(${BASE})}).join(","))}` +
    `function hit(n){if(seen[n]!==0)return;seen[n]=1;if(depth>0)fresh.push(n);else{late.push(n);tell([n])}}` +
    `hit.flush=function(){if(fresh.length+late.length>0)tell(late.concat(fresh));fresh=[];late=[]};` +
    `hit.loaded=function(){depth=0;hit.flush()};` +
    `hit.hook=function(run){return typeof run!=="function"?run:function(){depth++;try{return run.apply(this,arguments)}finally{depth--;if(depth===0)hit.flush()}}};` +
    `hit.hooks=function(make){return function(given){if(typeof given!=="object"||given===null)return make(given);var own=Object.assign({},given);` +
    `Object.keys(own).forEach(function(name){own[name]=hit.hook(own[name])});return make(own)}};return hit})();` +
    `sluice=Object.assign({},sluice,{defineRule:$c.hooks(sluice.defineRule),defineExperiment:$c.hooks(sluice.defineExperiment)});`
  );
}

class Walk {
  readonly inserts: Insert[] = [];
  readonly points: Point[] = [];
  readonly #map: TraceMap;
  /** Of each source. */
  readonly #lines = new Map<string, readonly string[]>();
  readonly #wanted: (source: string) => boolean;

  constructor(map: TraceMap, wanted: (source: string) => boolean) {
    this.#map = map;
    this.#wanted = wanted;
  }

  /** `depth`: functions around it, the module's own included. `always`: nothing around it decides whether it runs. */
  visit(node: acorn.AnyNode, depth: number, always: boolean): void {
    switch (node.type) {
      case "Program":
      case "BlockStatement":
      case "StaticBlock":
        for (const statement of node.body) this.#listed(statement, depth, always);
        return;
      case "SwitchCase":
        for (const statement of node.consequent) this.#listed(statement, depth, false);
        return;
      case "IfStatement":
        this.visit(node.test, depth, always);
        this.#branch(node.consequent, depth);
        if (node.alternate) this.#branch(node.alternate, depth);
        return;
      case "ForStatement":
      case "ForInStatement":
      case "ForOfStatement":
      case "WhileStatement":
      case "DoWhileStatement":
        for (const child of childrenOf(node)) if (child !== node.body) this.visit(child, depth, false);
        this.#branch(node.body, depth);
        return;
      case "ArrowFunctionExpression":
        for (const param of node.params) this.visit(param, depth + 1, false);
        if (node.body.type === "BlockStatement") this.visit(node.body, depth + 1, false);
        else this.#expression(node.body, depth + 1);
        return;
      case "FunctionExpression":
      case "FunctionDeclaration":
        for (const param of node.params) this.visit(param, depth + 1, false);
        // The outermost one is the module.
        this.visit(node.body, depth + 1, always && depth === 0);
        return;
      default: {
        const decides = node.type === "TryStatement" || node.type === "SwitchStatement" || node.type === "ConditionalExpression";
        for (const child of childrenOf(node)) this.visit(child, depth, always && !decides);
      }
    }
  }

  /** One of a list of statements. */
  #listed(node: acorn.Statement | acorn.ModuleDeclaration, depth: number, always: boolean): void {
    if (counts(node)) {
      const number = this.#point(node, always && depth === 1);
      if (number >= 0) this.inserts.push({ at: node.start, end: false, text: `$c(${number});` });
    }
    this.visit(node, depth, always);
  }

  /** What stands alone behind a condition gets braces. */
  #branch(node: acorn.Statement, depth: number): void {
    if (node.type === "BlockStatement" || node.type === "EmptyStatement") {
      this.visit(node, depth, false);
      return;
    }
    const number = this.#point(node, false);
    if (number >= 0) this.inserts.push({ at: node.start, end: false, text: `{$c(${number});` });
    this.visit(node, depth, false);
    if (number >= 0) this.inserts.push({ at: node.end, end: true, text: "}" });
  }

  /** An arrow function's. */
  #expression(node: acorn.Expression, depth: number): void {
    const number = this.#point(node, false);
    if (number >= 0) this.inserts.push({ at: node.start, end: false, text: `($c(${number}),` });
    this.visit(node, depth, false);
    if (number >= 0) this.inserts.push({ at: node.end, end: true, text: ")" });
  }

  /** Its counter's number; -1 for what nobody wrote, or in a package. */
  #point(node: acorn.Node, atLoad: boolean): number {
    const { start, end } = node.loc!;
    const from = originalPositionFor(this.#map, start);
    if (from.source === null || !this.#wanted(from.source) || NO_STATEMENT.test(this.#textAt(from.source, from.line, from.column))) return -1;
    const to = originalPositionFor(this.#map, { line: end.line, column: Math.max(0, end.column - 1) });
    const endLine = to.source === from.source ? Math.max(from.line, to.line) : from.line;
    return this.points.push({ source: from.source, line: from.line, column: from.column, endLine, atLoad }) - 1;
  }

  #textAt(source: string, line: number, column: number): string {
    let lines = this.#lines.get(source);
    if (lines === undefined) {
      const { sources, sourcesContent = [] } = this.#map;
      lines = (sourcesContent[sources.indexOf(source)] ?? "").split("\n");
      this.#lines.set(source, lines);
    }
    return lines[line - 1]?.slice(column) ?? "";
  }
}

function counts(node: acorn.AnyNode): boolean {
  switch (node.type) {
    case "FunctionDeclaration":
    case "EmptyStatement":
    case "BlockStatement":
      return false;
    case "ExpressionStatement":
      return node.directive === undefined;
    case "VariableDeclaration":
      return node.declarations.some(({ init }) => init !== null && init !== undefined);
    default:
      return true;
  }
}

function childrenOf(node: acorn.Node): acorn.AnyNode[] {
  const children: acorn.AnyNode[] = [];
  for (const value of Object.values(node) as unknown[])
    for (const each of Array.isArray(value) ? (value as unknown[]) : [value])
      if (typeof each === "object" && each !== null && "type" in each && "start" in each) children.push(each as acorn.AnyNode);
  return children;
}

function inserted(code: string, inserts: readonly Insert[]): string {
  let text = "";
  let from = 0;
  for (const insert of inserts) {
    text += code.slice(from, insert.at) + insert.text;
    from = insert.at;
  }
  return text + code.slice(from);
}

/** Inserts hold no line break, so only columns behind them move. */
function moved(map: TraceMap, code: string, inserts: readonly Insert[]): string {
  const starts = [0];
  for (let at = code.indexOf("\n"); at >= 0; at = code.indexOf("\n", at + 1)) starts.push(at + 1);
  let next = 0;
  const mappings = decodedMappings(map).map((segments, line) => {
    const lineStart = starts[line] ?? code.length;
    const lineEnd = starts[line + 1] ?? code.length + 1;
    while (next < inserts.length && inserts[next]!.at < lineStart) next++;
    let shift = 0;
    let at = next;
    return segments.map((segment) => {
      while (at < inserts.length && inserts[at]!.at < lineEnd && inserts[at]!.at <= lineStart + segment[0]) shift += inserts[at++]!.text.length;
      const [column, ...rest] = segment;
      return [column + shift, ...rest] as typeof segment;
    });
  });
  const { version: _version, ...rest } = encodedMap(map);
  return JSON.stringify(encodedMap(new TraceMap({ ...rest, version: 3, mappings })));
}
