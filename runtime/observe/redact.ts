/** Query values that must not stand in a log. */

const HIDDEN = "REDACTED";

/** `names` in lowercase. Names are compared after percent-decoding, so that `%74oken=` hides no better than `token=`. */
export function redactTarget(target: string, names: ReadonlySet<string>): string {
  const question = target.indexOf("?");
  if (question < 0 || names.size === 0) return target;
  const pairs = target.slice(question + 1).split("&");
  const shown = pairs.map((pair) => {
    const equals = pair.indexOf("=");
    if (equals < 0) return pair;
    const name = pair.slice(0, equals);
    return names.has(decoded(name).toLowerCase()) ? `${name}=${HIDDEN}` : pair;
  });
  return `${target.slice(0, question)}?${shown.join("&")}`;
}

function decoded(name: string): string {
  return name.replaceAll("+", " ").replaceAll(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}
