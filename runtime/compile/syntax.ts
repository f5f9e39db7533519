/** Names and shapes of a parsed script: what `stateless.ts` asks of the code that it judges. */
import type * as acorn from "acorn";

export type Node = acorn.AnyNode;
export type FunctionNode = acorn.FunctionDeclaration | acorn.FunctionExpression | acorn.ArrowFunctionExpression;

/** Nothing can be shown of this code. */
export class KeepsState extends Error {}

/** A variable, and what is known of what it holds. */
export interface Binding {
  readonly scope: Scope;
  /** Its only initializer, or null: nothing is known. */
  init: Node | null;
  /** A hook's parameter, or what was taken from one: the first property's name, "" for the parameter itself. */
  host: string | null;
  /** What is assigned to it, or null for something unknown. */
  readonly assigned: (Node | null)[];
}

export class Scope {
  readonly parent: Scope | null;
  /** Null for the module. */
  readonly owner: FunctionNode | null;
  readonly names = new Map<string, Binding>();

  constructor(parent: Scope | null, owner: FunctionNode | null) {
    this.parent = parent;
    this.owner = owner;
  }
  declare(name: string, init: Node | null, host: string | null = null): void {
    const known = this.names.get(name);
    if (known === undefined) this.names.set(name, { scope: this, init, host, assigned: [] });
    // `var` twice, or a function over a variable: nothing is known.
    else known.init = null;
  }
  find(name: string): Binding | null {
    return this.names.get(name) ?? this.parent?.find(name) ?? null;
  }
}

export function functionScope(scope: Scope): Scope {
  let at = scope;
  while (at.parent !== null && at.parent.owner === at.owner) at = at.parent;
  return at;
}

export function declarePattern(scope: Scope, pattern: Node, init: Node | null): void {
  switch (pattern.type) {
    case "Identifier":
      scope.declare(pattern.name, init);
      return;
    case "ObjectPattern":
      for (const property of pattern.properties) declarePattern(scope, property.type === "Property" ? property.value : property.argument, null);
      return;
    case "ArrayPattern":
      for (const element of pattern.elements) if (element) declarePattern(scope, element, null);
      return;
    case "AssignmentPattern":
      declarePattern(scope, pattern.left, null);
      return;
    case "RestElement":
      declarePattern(scope, pattern.argument, null);
      return;
    default:
      throw new KeepsState(pattern.type);
  }
}

export function isFunction(node: Node): node is FunctionNode {
  return node.type === "FunctionDeclaration" || node.type === "FunctionExpression" || node.type === "ArrowFunctionExpression";
}

/** `(0, a.b)`, `(a)` and `a?.b` are `a.b`. */
export function unwrapped(node: Node): Node {
  if (node.type === "SequenceExpression") return unwrapped(node.expressions.at(-1)!);
  if (node.type === "ParenthesizedExpression" || node.type === "ChainExpression") return unwrapped(node.expression);
  return node;
}

/** `a.b["c"][d]` is a, and ["b", "c", null]. */
export function chainOf(node: acorn.MemberExpression): { root: Node; path: (string | null)[] } {
  const path: (string | null)[] = [];
  let at: Node = node;
  while (at.type === "MemberExpression") {
    path.unshift(nameOf(at));
    at = unwrapped(at.object);
  }
  return { root: at, path };
}

export function nameOf({ computed, property }: acorn.MemberExpression): string | null {
  if (!computed) return property.type === "Identifier" || property.type === "PrivateIdentifier" ? property.name : null;
  return property.type === "Literal" && typeof property.value === "string" ? property.value : null;
}

export function keyOf(property: acorn.Property | acorn.AssignmentProperty): string | null {
  if (property.computed) return null;
  return property.key.type === "Identifier" ? property.key.name : property.key.type === "Literal" ? String(property.key.value) : null;
}

/** Every node directly below. */
export function childrenOf(node: Node): Node[] {
  const children: Node[] = [];
  for (const value of Object.values(node) as unknown[]) {
    for (const each of Array.isArray(value) ? (value as unknown[]) : [value]) {
      if (typeof each === "object" && each !== null && "type" in each && "start" in each) children.push(each as Node);
    }
  }
  return children;
}
