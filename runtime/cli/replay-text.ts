/** What `sluice plan --replay` prints for people. Values come from requests and rules, so control characters are spelt out. */
import type { DecisionDifference } from "../proxy/decisions.ts";
import { harmless } from "./explain-text.ts";
import { groupKey, type Replay, type ReplayedRequest } from "./replay.ts";

const SHOWN_GROUPS = 20;
const SHOWN_REQUESTS = 3;
const SHOWN_UNITS = 120;

export function replayLines({ played, different, unfinished, reproduced, comparable, failures }: Replay, available: number): string[] {
  if (available === 0) return ['replay: no request is recorded; config\'s record: { share: "1%" } keeps some'];
  const groups = grouped(different);
  return [
    `replay: ${played} recorded request${played === 1 ? "" : "s"}, ${different.length === 0 ? "all decided alike" : `${different.length} decided differently`}`,
    ...groups.slice(0, SHOWN_GROUPS).flatMap(groupLines),
    ...(groups.length > SHOWN_GROUPS ? [`  … and ${groups.length - SHOWN_GROUPS} more groups (--json has them all)`] : []),
    ...failures.map(({ rule, place, message, requests }) => `  ! ${rule} fails on ${requests} of them: ${clean(message)}${place === "" ? "" : ` (${place})`}`),
    ...(comparable > 0 && reproduced < comparable
      ? [
          `  ${comparable - reproduced} of ${comparable} came out differently with the serving release than live: what they were decided by is not recorded (cookies, bodies, …)`,
        ]
      : []),
    ...(unfinished > 0 ? [`  ${unfinished} did not come to an end in time`] : []),
  ];
}

function grouped(different: readonly ReplayedRequest[]): ReplayedRequest[][] {
  return [...Map.groupBy(different, groupKey).values()].sort((a, b) => b.length - a.length);
}

function groupLines(group: readonly ReplayedRequest[]): string[] {
  const asked = [...Map.groupBy(group, ({ method, target }) => clean(`${method} ${target}`))].map(([request, all]) =>
    all.length === 1 ? request : `${request} (${all.length})`,
  );
  const rest = asked.length - SHOWN_REQUESTS;
  return [
    `  ~ ${asked.slice(0, SHOWN_REQUESTS).join(", ")}${rest > 0 ? ` and ${rest} more` : ""}`,
    ...group[0]!.differences.map((difference) => `      ${differenceText(difference)}`),
  ];
}

function differenceText({ what, before, after, rule, place }: DecisionDifference): string {
  const where = rule === "" ? "" : `  (${rule}${place === "" ? "" : ` ${place}`})`;
  if (what.startsWith("call ")) return `${after === null ? "no longer calls" : "new call, not made:"} ${clean(what.slice(5))}${where}`;
  const told = (value: string | null): string => (value === null ? "(as it came)" : clean(value));
  return `${what}: ${told(before)} → ${told(after)}${where}`;
}

function clean(text: string): string {
  const plain = harmless(text);
  return plain.length <= SHOWN_UNITS ? plain : `${plain.slice(0, SHOWN_UNITS)}…`;
}
