/** One pass over a bundle: which variables there are, where, and what is ever assigned to them. */
import type * as acorn from "acorn";
import { PHASES } from "./release.ts";
import { childrenOf, declarePattern, type FunctionNode, functionScope, isFunction, KeepsState, nameOf, type Node, Scope, unwrapped } from "./syntax.ts";

/** What `bundle.ts` and esbuild put in front; run while the module is evaluated, and at no other time. */
const PREAMBLE = new Set(
  "module exports require __create __defProp __getOwnPropDesc __getOwnPropNames __getProtoOf __hasOwnProp __export __copyProps __toCommonJS __toESM __name".split(
    " ",
  ),
);
const HOOKS: ReadonlySet<string> = new Set(PHASES);

export class ModuleNames {
  readonly module = new Scope(null, null);
  readonly scopes = new Map<Node, Scope>();
  readonly functions = new Set<FunctionNode>();
  readonly constructors = new Set<Node>();
  /** Calls of `defineRule` and `defineExperiment`. */
  readonly rules: acorn.CallExpression[] = [];
  /** Of the module's own objects and classes: what they give is not known by their name. */
  readonly methods = new Set<string>();
  readonly #assignments: { readonly name: string; readonly scope: Scope; readonly value: Node | null }[] = [];

  constructor(factory: acorn.FunctionExpression) {
    for (const param of factory.params) declarePattern(this.module, param, null);
    this.scopes.set(factory.body, this.module);
    for (const child of childrenOf(factory.body)) this.#declare(child, this.module);
    // Only now every name is known: code may assign before it declares.
    for (const { name, scope, value } of this.#assignments) scope.find(name)?.assigned.push(value);
  }

  #declare(node: Node, scope: Scope): void {
    switch (node.type) {
      case "FunctionDeclaration":
        if (node.id === null) throw new KeepsState("a function without a name");
        scope.declare(node.id.name, node);
        this.#declareFunction(node, scope);
        return;
      case "FunctionExpression":
      case "ArrowFunctionExpression":
        this.#declareFunction(node, scope);
        return;
      case "ClassDeclaration":
        if (node.id) scope.declare(node.id.name, node);
        break;
      case "MethodDefinition":
        if (node.kind === "constructor") this.constructors.add(node.value);
        else if (node.key.type === "Identifier") this.methods.add(node.key.name);
        break;
      case "Property":
        if (node.key.type === "Identifier" && !HOOKS.has(node.key.name) && isFunction(node.value)) this.methods.add(node.key.name);
        break;
      case "AssignmentExpression":
        if (node.left.type === "Identifier") this.#assignments.push({ name: node.left.name, scope, value: node.operator === "=" ? node.right : null });
        else if (node.left.type === "MemberExpression") {
          const name = nameOf(node.left);
          if (name !== null && isFunction(unwrapped(node.right))) this.methods.add(name);
        } else this.#assignUnknown(node.left, scope);
        break;
      case "UpdateExpression":
        if (node.argument.type === "Identifier") this.#assignments.push({ name: node.argument.name, scope, value: null });
        break;
      case "VariableDeclaration": {
        const home = node.kind === "var" ? functionScope(scope) : scope;
        for (const { id, init } of node.declarations) {
          const isPreamble = scope.owner === null && id.type === "Identifier" && PREAMBLE.has(id.name);
          if (!isPreamble) declarePattern(home, id, init ?? null);
          if (isPreamble || !init) continue;
          this.#declare(id, scope);
          this.#declare(init, scope);
        }
        return;
      }
      case "BlockStatement":
      case "ForStatement":
      case "ForInStatement":
      case "ForOfStatement":
      case "SwitchStatement":
      case "StaticBlock":
        if ((node.type === "ForInStatement" || node.type === "ForOfStatement") && node.left.type !== "VariableDeclaration")
          this.#assignUnknown(node.left, scope);
        scope = this.#inner(node, scope);
        break;
      case "CatchClause":
        scope = this.#inner(node, scope);
        if (node.param) declarePattern(scope, node.param, null);
        break;
      case "CallExpression": {
        const callee = unwrapped(node.callee);
        if (callee.type === "MemberExpression" && /^define(?:Rule|Experiment)$/.test(nameOf(callee) ?? "")) this.rules.push(node);
        if (callee.type === "MemberExpression" && nameOf(callee) === "fromFetchHandler") throw new KeepsState("a handler made for another runtime");
        break;
      }
      default:
        break;
    }
    for (const child of childrenOf(node)) this.#declare(child, scope);
  }

  #assignUnknown(pattern: Node, scope: Scope): void {
    if (pattern.type === "Identifier") this.#assignments.push({ name: pattern.name, scope, value: null });
    else if (pattern.type !== "MemberExpression") for (const child of childrenOf(pattern)) this.#assignUnknown(child, scope);
  }

  #declareFunction(node: FunctionNode, outer: Scope): void {
    const scope = new Scope(outer, node);
    this.functions.add(node);
    this.scopes.set(node, scope);
    if (node.type === "FunctionExpression" && node.id) scope.declare(node.id.name, node);
    for (const param of node.params) declarePattern(scope, param, null);
    for (const child of [...node.params, node.body]) this.#declare(child, scope);
  }

  #inner(node: Node, outer: Scope): Scope {
    const scope = new Scope(outer, outer.owner);
    this.scopes.set(node, scope);
    return scope;
  }
}
