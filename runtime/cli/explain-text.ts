/** An explanation for people: one step after the other, what changed indented below it. */
import type { Explanation, ExplainStep } from "../proxy/explanation.ts";

export function explanationLines({ release, beside, request, matched, unmatched, steps }: Explanation): string[] {
  const place = (request.country ?? "") === "" ? "" : ` in ${request.country}`;
  const lines = [
    `${request.method} ${request.scheme}://${request.authority}${request.target} from ${request.client}${place}, on ${beside === "" ? "" : `the ${beside} `}release ${release}`,
    "",
  ];
  lines.push(matched.length === 0 ? "no rule matches" : `rules that match, in this order (onResponse in the opposite one):`);
  for (const { name, order, when, hooks } of matched) {
    lines.push(`  ${name}  (order ${order}, when ${when.length === 0 ? "always" : JSON.stringify(when)})`);
    for (const [phase, place] of Object.entries(hooks)) lines.push(`    ${phase}  ${place}`);
  }
  if (unmatched.length > 0) lines.push(`rules that do not: ${unmatched.join(", ")}`);
  lines.push("", ...steps.flatMap((step, i) => stepLines(step).map((line, j) => (j === 0 ? `${i + 1}. ${line}` : `   ${line}`))));
  return lines.map(harmless);
}

function stepLines(step: ExplainStep): string[] {
  switch (step.step) {
    case "limits":
      return [`limits of ${routeName(step.route)}: ${step.limits.join(", ")} (${step.why})`];
    case "hook": {
      const how = {
        next: "carries on",
        answer: "answers",
        "failed-closed": "FAILS, and ends it (onFailure closed)",
        "failed-open": "FAILS, and is passed over (onFailure open)",
      };
      return [
        `${step.phase} of ${step.rule} ${how[step.outcome]}${step.place === "" ? "" : `  ${step.place}`}`,
        ...step.effects.map(({ what, before, after, place }) => `  ${what}: ${value(before)} → ${value(after)}${place === "" ? "" : `  ${place}`}`),
        ...step.calls.map(({ service, asked, told }) => `  calls ${service} ${asked} → ${told}`),
        ...step.logs.map(({ level, text }) => `  ${level}: ${text}`),
        ...(step.failure === null
          ? []
          : `${step.failure.kind}: ${step.failure.stack === "" ? step.failure.message : step.failure.stack}`.split("\n").map((line) => `  ${line}`)),
      ];
    }
    case "experiments":
      return [
        "experiments:",
        ...step.variants.map(({ experiment, variant, why, counted }) => `  ${experiment}: ${variant}, because ${why}${counted ? "" : "; not counted"}`),
      ];
    case "cache":
      return [`cache: ${step.decision}, because ${step.why}${step.key === "" ? "" : `  key ${JSON.stringify(step.key)}`}`];
    case "upstream":
      return [
        `upstream ${step.upstream}, because ${step.why}${step.match.length === 0 ? "" : ` ${JSON.stringify(step.match)}`}; targets: ${step.targets.join(", ")}`,
        `  ${step.method} ${step.target}`,
        ...pairs(step.headers),
      ];
    case "assumed":
      return [`nothing is sent to the origin; from here on as if it had answered ${step.status} without fields and body`];
    case "response":
      return [`response ${step.status} from ${step.from}${step.code === "" ? "" : `: ${step.code} ${step.detail}`}`, ...pairs(step.headers)];
  }
}

function routeName(route: number): string {
  return route < 0 ? "no route" : `route ${route}`;
}

function value(text: string | null): string {
  return text === null ? "(none)" : JSON.stringify(text);
}

function pairs(list: readonly string[]): string[] {
  return Array.from({ length: list.length / 2 }, (_, i) => `  ${list[2 * i]}: ${list[2 * i + 1]}`);
}

/** Nothing that a rule says may steer the terminal. */
export function harmless(line: string): string {
  return line.replaceAll(
    /[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
