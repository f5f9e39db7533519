/** Stacks of rules as their authors know them: bundle positions become places in TypeScript. Only such places come out, so never a path of the host. */
import path from "node:path";
import { TraceMap, originalPositionFor } from "@jridgewell/trace-mapping";
import type { Release, SourceMaps } from "../compile/release.ts";

const MAX_LINES = 30;
const MAX_LINE_UNITS = 500;
const PLACE = /^(\s*at (?:async )?(?:.*? \()?)([^()\s][^()]*):(\d+):(\d+)\)?$/;

export class StackMapper {
  readonly #names: ReadonlySet<string>;
  readonly #maps: SourceMaps;
  readonly #traced = new Map<string, TraceMap | null>();

  constructor(release: Release, maps: SourceMaps) {
    this.#names = new Set(release.rules.map((rule) => rule.manifest.name));
    this.#maps = maps;
  }

  /** Lines that name no place in a rule are left out, except what stands before the first place (the message). */
  map(stack: string): string {
    const lines: string[] = [];
    let inFrames = false;
    for (const line of stack.split("\n", MAX_LINES)) {
      const place = PLACE.exec(line);
      if (place !== null) {
        inFrames = true;
        const mapped = this.#place(place[2]!, Number(place[3]), Number(place[4]));
        if (mapped !== "") lines.push(`${place[1]}${mapped}${place[1]!.endsWith("(") ? ")" : ""}`.slice(0, MAX_LINE_UNITS));
      } else if (!inFrames && !/^\s*at /.test(line)) lines.push(line.slice(0, MAX_LINE_UNITS));
    }
    return lines.join("\n");
  }

  #place(name: string, line: number, column: number): string {
    if (!this.#names.has(name)) return "";
    const map = this.#mapOf(name);
    const found = map === null || line < 1 || column < 1 ? null : originalPositionFor(map, { line, column: column - 1 });
    if (found === null || found.source === null) return `${name}:${line}:${column}`;
    return `${projectPath(found.source, name)}:${found.line}:${found.column + 1}`;
  }

  #mapOf(name: string): TraceMap | null {
    let map = this.#traced.get(name);
    if (map === undefined) {
      const text = this.#maps[name];
      map = text === undefined ? null : traced(text);
      this.#traced.set(name, map);
    }
    return map;
  }
}

function traced(text: string): TraceMap | null {
  try {
    return new TraceMap(text);
  } catch {
    // A broken map costs the mapping, not the stack.
    return null;
  }
}

/** Sources are relative to the project; whatever else a map says is answered by the rule's name. */
function projectPath(source: string, name: string): string {
  const plain = path.posix.normalize(source.replaceAll("\\", "/"));
  return path.posix.isAbsolute(plain) || plain.startsWith("../") || /^[a-z]+:/i.test(plain) ? name : plain;
}
