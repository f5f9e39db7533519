/**
 * Does a rule keep anything from one hook to the next? A module that provably does not decides the same on the same input, and what it decided
 * may be remembered (`sandbox/recall.ts`). Read from the bundled code, and strict: whatever is not known to keep nothing is taken to keep
 * something, and then nothing but time is lost.
 *
 * What is looked at is every function of the bundle. None may assign to what outlives a hook, nor call a method that changes its receiver,
 * unless the receiver was made within the hook or is the request, response or context. What functions refer to outside must be functions, or
 * data that was written down as such. What the module itself does while it is evaluated is free: it is over when the first hook runs.
 */
import type * as acorn from "acorn";
import { parse } from "acorn";
import { PHASES } from "./release.ts";
import { ModuleNames } from "./module-names.ts";
import { type Binding, chainOf, childrenOf, type FunctionNode, isFunction, KeepsState, keyOf, type Node, type Scope, unwrapped } from "./syntax.ts";

/** Change their receiver. `set…` of Date and DataView are told by their beginning. */
const MUTATORS = new Set(
  (
    "push pop shift unshift splice sort reverse fill copyWithin set add delete clear append next return throw getOrInsert getOrInsertComputed " +
    "addEventListener removeEventListener dispatchEvent abort assign enqueue close cancel compile"
  ).split(" "),
);
/** Give something new, however they are called. */
const MAKERS = new Set(
  (
    "split slice map filter concat flat flatMap toSorted toReversed toSpliced with join trim trimStart trimEnd toLowerCase toUpperCase replace replaceAll substring " +
    "padStart padEnd repeat toString at charAt charCodeAt codePointAt indexOf lastIndexOf includes startsWith endsWith every some test toFixed localeCompare normalize"
  ).split(" "),
);
/** … of a global object. */
const GLOBAL_MAKERS: Readonly<Record<string, ReadonlySet<string>>> = {
  Object: new Set(["keys", "values", "entries", "fromEntries", "freeze"]),
  JSON: new Set(["parse", "stringify"]),
  Array: new Set(["from", "of", "isArray"]),
  Math: new Set(Object.getOwnPropertyNames(Math)),
  Number: new Set(Object.getOwnPropertyNames(Number)),
  String: new Set(["raw", "fromCharCode", "fromCodePoint"]),
};
const MAKING_FUNCTIONS = new Set(
  "String Number Boolean BigInt parseInt parseFloat structuredClone encodeURIComponent decodeURIComponent encodeURI atob btoa".split(" "),
);
const DATA_CLASSES = new Set("Map Set URL URLPattern URLSearchParams Headers RegExp TextEncoder".split(" "));
const CHANGES_ARGUMENT = new Set("assign defineProperty defineProperties setPrototypeOf freeze seal preventExtensions".split(" "));
const HOOKS: ReadonlySet<string> = new Set(PHASES);
/** Options of an experiment that may be functions, and then run in the sandbox. */
const EXPERIMENT_FUNCTIONS: ReadonlySet<string> = new Set(["audience", "unit"]);

export function isStateless(code: string): boolean {
  try {
    new Reading(parse(code, { ecmaVersion: "latest", sourceType: "script" })).expectStateless();
    return true;
  } catch (thrown) {
    // What acorn cannot read is nothing that is known either.
    if (thrown instanceof KeepsState || thrown instanceof SyntaxError) return false;
    throw thrown;
  }
}

class Reading {
  readonly #program: acorn.Program;
  readonly #hooks = new Set<FunctionNode>();
  #names!: ModuleNames;
  readonly #data = new Set<Binding>();

  constructor(program: acorn.Program) {
    this.#program = program;
  }

  expectStateless(): void {
    const statement = this.#program.body[0];
    const factory = statement?.type === "ExpressionStatement" ? unwrapped(statement.expression) : null;
    if (this.#program.body.length !== 1 || factory?.type !== "FunctionExpression") throw new KeepsState("this is no bundle");
    const names = (this.#names = new ModuleNames(factory));
    const [call] = names.rules;
    const definition = call?.arguments[0];
    if (names.rules.length !== 1 || definition?.type !== "ObjectExpression") throw new KeepsState("not one rule, written as an object");
    for (const property of definition.properties) {
      if (property.type !== "Property") throw new KeepsState("a rule that is spread from elsewhere");
      const name = keyOf(property);
      if (name === null) throw new KeepsState("a computed name");
      if (!HOOKS.has(name) && !(EXPERIMENT_FUNCTIONS.has(name) && isFunction(unwrapped(property.value)))) continue;
      this.#hooks.add(functionAt(property.value, names.module));
    }
    // Parameters are hosts before anything is judged.
    for (const hook of this.#hooks) this.#nameHosts(hook);
    for (const each of names.functions) this.#judgeFunction(each);
  }

  #nameHosts(hook: FunctionNode): void {
    const scope = this.#names.scopes.get(hook)!;
    for (const param of hook.params) {
      if (param.type === "Identifier") scope.names.get(param.name)!.host = "";
      else if (param.type === "ObjectPattern") {
        for (const property of param.properties) {
          if (property.type === "Property" && property.value.type === "Identifier") scope.names.get(property.value.name)!.host = keyOf(property);
        }
      }
    }
  }

  // Judgement.

  #judgeFunction(node: FunctionNode): void {
    if (node.generator) throw new KeepsState("a generator");
    const scope = this.#names.scopes.get(node)!;
    for (const child of [...node.params, node.body]) this.#judge(child, scope, node);
  }

  #judge(node: Node, outer: Scope, within: FunctionNode | null): void {
    const scope = isFunction(node) ? outer : (this.#names.scopes.get(node) ?? outer);
    switch (node.type) {
      case "FunctionDeclaration":
      case "FunctionExpression":
      case "ArrowFunctionExpression":
        // Judged by itself.
        return;
      case "Identifier":
        this.#refer(node.name, scope);
        return;
      case "AssignmentExpression":
        this.#judgeTarget(node.left, scope, within, node.right);
        if (node.left.type !== "Identifier") this.#judge(node.left, scope, within);
        this.#judge(node.right, scope, within);
        return;
      case "UpdateExpression":
        this.#judgeTarget(node.argument, scope, within, null);
        break;
      case "UnaryExpression":
        if (node.operator === "delete") this.#judgeTarget(node.argument, scope, within, null);
        break;
      case "ForInStatement":
      case "ForOfStatement":
        if (node.left.type !== "VariableDeclaration") this.#judgeTarget(node.left, scope, within, null);
        break;
      case "CallExpression":
        this.#judgeCall(node, scope);
        break;
      case "TaggedTemplateExpression":
        this.#judgeCallee(unwrapped(node.tag), [], scope);
        break;
      case "NewExpression":
        if (node.callee.type !== "Identifier" && node.callee.type !== "MemberExpression") throw new KeepsState("a class that is not named");
        break;
      case "MemberExpression":
        if (!node.computed && node.property.type === "Identifier" && node.property.name === "prototype") throw new KeepsState("a prototype");
        this.#judge(node.object, scope, within);
        if (node.computed) this.#judge(node.property, scope, within);
        return;
      case "Property":
      case "PropertyDefinition":
      case "MethodDefinition":
        if (node.computed) this.#judge(node.key, scope, within);
        if (node.value) this.#judge(node.value, scope, within);
        return;
      case "LabeledStatement":
        this.#judge(node.body, scope, within);
        return;
      case "BreakStatement":
      case "ContinueStatement":
        return;
      case "ImportExpression":
      case "MetaProperty":
      case "YieldExpression":
      case "WithStatement":
        throw new KeepsState(node.type);
      default:
        break;
    }
    for (const child of childrenOf(node)) this.#judge(child, scope, within);
  }

  /** What a reached function refers to. */
  #refer(name: string, scope: Scope): void {
    if (name === "arguments") throw new KeepsState("arguments");
    const binding = scope.find(name);
    if (binding === null || binding.scope.owner !== null) return;
    this.#expectData(binding);
  }

  /** Of a variable of the module. */
  #expectData(binding: Binding): void {
    if (this.#data.has(binding)) return;
    this.#data.add(binding);
    const { init, assigned } = binding;
    if (init === null || assigned.length > 0) throw new KeepsState("a variable of the module that is not only initialized");
    if (init.type === "ClassDeclaration") this.#expectDataIn(init, binding.scope);
    else if (!isFunction(init) && !isSluice(init)) this.#expectDataIn(init, binding.scope);
  }

  #expectDataIn(node: Node, scope: Scope): void {
    const all = (nodes: readonly (Node | null | undefined)[]): void => {
      for (const each of nodes) if (each) this.#expectDataIn(each, scope);
    };
    switch (node.type) {
      case "Literal":
        if (node.regex && /[gy]/.test(node.regex.flags)) throw new KeepsState("a regular expression with a place of its own");
        return;
      case "Identifier": {
        const binding = scope.find(node.name);
        if (binding !== null) this.#expectData(binding);
        return;
      }
      case "FunctionExpression":
      case "ArrowFunctionExpression":
        return;
      case "ClassDeclaration":
      case "ClassExpression":
        for (const member of node.body.body) {
          if (member.type === "StaticBlock") throw new KeepsState("a static block");
          if (member.type === "PropertyDefinition" && member.static && member.value) this.#expectDataIn(member.value, scope);
        }
        return;
      case "TemplateLiteral":
        return all(node.expressions);
      case "UnaryExpression":
      case "SpreadElement":
        return this.#expectDataIn(node.argument, scope);
      case "BinaryExpression":
      case "LogicalExpression":
        return all([node.left, node.right]);
      case "ConditionalExpression":
        return all([node.test, node.consequent, node.alternate]);
      case "ArrayExpression":
        return all(node.elements);
      case "ObjectExpression":
        for (const property of node.properties) {
          if (property.type === "SpreadElement") this.#expectDataIn(property, scope);
          else all([property.computed ? property.key : null, property.value]);
        }
        return;
      case "MemberExpression":
        return all([node.object, node.computed ? node.property : null]);
      case "ChainExpression":
        return this.#expectDataIn(node.expression, scope);
      case "NewExpression": {
        const [, flags] = node.arguments;
        const isRegExp = node.callee.type === "Identifier" && node.callee.name === "RegExp";
        if (isRegExp && flags !== undefined && !(flags.type === "Literal" && !/[gy]/.test(String(flags.value)))) throw new KeepsState("a regular expression");
        if (node.callee.type === "Identifier" && DATA_CLASSES.has(node.callee.name) && scope.find(node.callee.name) === null) return all(node.arguments);
        throw new KeepsState("an object of a class of its own");
      }
      case "CallExpression":
        if (!this.#isMaking(node, scope)) throw new KeepsState("what a function has given");
        return all(node.arguments);
      default:
        throw new KeepsState(`${node.type} in a variable of the module`);
    }
  }

  #judgeTarget(target: Node, scope: Scope, within: FunctionNode | null, value: Node | null): void {
    switch (target.type) {
      case "Identifier": {
        const owner = scope.find(target.name)?.scope.owner ?? null;
        if (owner === null || !this.#endsWithHook(owner, scope)) throw new KeepsState(`${target.name} is assigned and may outlive the hook`);
        return;
      }
      case "MemberExpression": {
        const { root, path } = chainOf(target);
        if (root.type === "ThisExpression") {
          if (path.length === 1 && within !== null && this.#names.constructors.has(within)) return;
          throw new KeepsState("this is changed");
        }
        const host = this.#hostOf(root, path, scope);
        if (host !== null) {
          const [first, ...rest] = host;
          if (rest.length === 0 && (first !== "state" || (value !== null && this.#isFresh(value, scope)))) return;
          if (first === "state" && rest.length === 1) return;
        } else if (path.length === 1 && this.#isFresh(root, scope)) return;
        throw new KeepsState("something is changed that may outlive the hook");
      }
      case "ObjectPattern":
        for (const property of target.properties) this.#judgeTarget(property.type === "Property" ? property.value : property.argument, scope, within, null);
        return;
      case "ArrayPattern":
        for (const element of target.elements) if (element) this.#judgeTarget(element, scope, within, null);
        return;
      case "AssignmentPattern":
        return this.#judgeTarget(target.left, scope, within, null);
      case "RestElement":
        return this.#judgeTarget(target.argument, scope, within, null);
      default:
        throw new KeepsState(target.type);
    }
  }

  /** Variables of the function itself do, and those around it that are a hook's. Others a closure may keep that the module has made. */
  #endsWithHook(owner: FunctionNode, scope: Scope): boolean {
    if (owner === scope.owner) return true;
    for (const hook of this.#hooks) if (hook.start <= owner.start && owner.end <= hook.end) return true;
    return false;
  }

  #judgeCall(node: acorn.CallExpression, scope: Scope): void {
    this.#judgeCallee(unwrapped(node.callee), node.arguments, scope);
  }

  #judgeCallee(callee: Node, given: readonly Node[], scope: Scope): void {
    if (callee.type !== "MemberExpression") return;
    const { root, path } = chainOf(callee);
    const method = path.at(-1) ?? null;
    if (method === null) throw new KeepsState("a method that is not named");
    if (method === "call" || method === "apply" || method === "bind") throw new KeepsState("a function with another receiver");
    if (root.type === "Identifier" && scope.find(root.name) === null) {
      if (root.name === "Reflect" || root.name === "Atomics") throw new KeepsState(root.name);
      if (root.name === "Object" && CHANGES_ARGUMENT.has(method) && !(given[0] !== undefined && this.#isFresh(given[0], scope)))
        throw new KeepsState(`Object.${method}`);
      return;
    }
    if (!MUTATORS.has(method) && !/^set[A-Z]/.test(method)) return;
    const host = this.#hostOf(root, path, scope);
    if (host !== null) {
      if (host[0] !== "state") return;
    } else if (this.#isFresh(callee.object, scope)) return;
    throw new KeepsState(`${method} changes something that may outlive the hook`);
  }

  /** The path below a hook's parameter, or null: what it begins with is none. */
  #hostOf(root: Node, path: readonly (string | null)[], scope: Scope): readonly (string | null)[] | null {
    const binding = root.type === "Identifier" ? scope.find(root.name) : null;
    if (binding === null || binding.assigned.length > 0) return null;
    if (binding.host !== null) return binding.host === "" ? path : [binding.host, ...path];
    const { init } = binding;
    if (init?.type !== "MemberExpression" || binding.scope.owner === null) return null;
    const source = chainOf(init);
    const above = this.#hostOf(source.root, source.path, binding.scope);
    return above === null ? null : [...above, ...path];
  }

  /** Made here, so that nobody else holds it. Its members may be old. */
  #isFresh(node: Node, scope: Scope): boolean {
    switch (node.type) {
      case "Literal":
      case "TemplateLiteral":
      case "ArrayExpression":
      case "ObjectExpression":
      case "NewExpression":
      case "BinaryExpression":
      case "UnaryExpression":
      case "FunctionExpression":
      case "ArrowFunctionExpression":
        return true;
      case "ParenthesizedExpression":
        return this.#isFresh(node.expression, scope);
      case "LogicalExpression":
        return this.#isFresh(node.left, scope) && this.#isFresh(node.right, scope);
      case "ConditionalExpression":
        return this.#isFresh(node.consequent, scope) && this.#isFresh(node.alternate, scope);
      case "CallExpression":
        return this.#isMaking(node, scope);
      case "Identifier": {
        const binding = scope.find(node.name);
        if (binding === null || binding.scope.owner === null || binding.init === null || !this.#endsWithHook(binding.scope.owner, scope)) return false;
        // One that is made from another variable would be asked for ever, if that were made from this one.
        return [binding.init, ...binding.assigned].every((value) => value !== null && value.type !== "Identifier" && this.#isFresh(value, binding.scope));
      }
      default:
        return false;
    }
  }

  #isMaking(node: acorn.CallExpression, scope: Scope): boolean {
    const callee = unwrapped(node.callee);
    if (callee.type === "Identifier") return MAKING_FUNCTIONS.has(callee.name) && scope.find(callee.name) === null;
    if (callee.type !== "MemberExpression") return false;
    const { root, path } = chainOf(callee);
    const method = path.at(-1);
    if (method === null || method === undefined) return false;
    const isKnown = MAKERS.has(method) && !this.#names.methods.has(method);
    if (root.type !== "Identifier") return isKnown;
    const binding = scope.find(root.name);
    if (binding === null) return path.length === 1 && GLOBAL_MAKERS[root.name]?.has(method) === true;
    if (binding.init !== null && isSluice(binding.init)) return true;
    return isKnown;
  }
}

function functionAt(node: Node, scope: Scope): FunctionNode {
  if (isFunction(node)) return node;
  const binding = node.type === "Identifier" ? scope.find(node.name) : null;
  if (binding?.init && isFunction(binding.init) && binding.assigned.length === 0) return binding.init;
  throw new KeepsState("a hook that is no function written down");
}

/** `require("sluice")`. */
function isSluice(node: Node): boolean {
  const [name] = node.type === "CallExpression" ? node.arguments : [];
  return (
    node.type === "CallExpression" && node.callee.type === "Identifier" && node.callee.name === "require" && name?.type === "Literal" && name.value === "sluice"
  );
}
