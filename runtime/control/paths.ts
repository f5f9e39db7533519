/** Paths of endpoints: "/v1/releases/{id}". Pure. */

/** What stands for the parts in braces; null: another path. */
export function paramsOf(pattern: string, path: string): Readonly<Record<string, string>> | null {
  if (!pattern.includes("{")) return pattern === path ? {} : null;
  const wanted = pattern.split("/");
  const found = path.split("/");
  if (wanted.length !== found.length) return null;
  const params: Record<string, string> = {};
  for (const [i, part] of wanted.entries()) {
    const name = nameOf(part);
    if (name === "") {
      if (part !== found[i]) return null;
      continue;
    }
    const value = decoded(found[i]!);
    if (value === null || value === "") return null;
    params[name] = value;
  }
  return params;
}

export function paramNames(pattern: string): string[] {
  return pattern.split("/").flatMap((part) => nameOf(part) || []);
}

function nameOf(part: string): string {
  return part.startsWith("{") && part.endsWith("}") ? part.slice(1, -1) : "";
}

function decoded(segment: string): string | null {
  try {
    return decodeURIComponent(segment);
  } catch {
    // No percent-encoding: no such path.
    return null;
  }
}
