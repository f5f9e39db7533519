/** `sluice audit verify`: is this gateway's audit log whole? Reads its files; the gateway need not run. */
import { existsSync } from "node:fs";
import { loadConfig } from "../config/config.ts";
import { type AuditAnchor, verifyAudit } from "../control/audit.ts";
import type { Terminal } from "./terminal.ts";

export interface AuditOptions {
  readonly config: string;
  /** An entry that must be there. */
  readonly anchor?: AuditAnchor;
}

export async function verifyAuditLog({ config, anchor }: AuditOptions, terminal: Terminal): Promise<number> {
  const { stateDir } = (await loadConfig(config)).config;
  if (!existsSync(stateDir)) {
    terminal.problem(`there is no audit log: ${stateDir} (stateDir) does not exist`);
    return 1;
  }
  const verdict = verifyAudit(stateDir, anchor ?? null);
  const { files, entries, last, isSound } = verdict;
  if (files.every(({ file }) => file === "") && anchor === undefined) {
    terminal.problem(`there is no audit log in ${stateDir} (stateDir): no gateway ever started with it, or the log was taken away`);
    return 1;
  }
  terminal.result(verdict, () => [
    ...files.map(({ file, entries: count, problem }) =>
      [file, file === "" ? "" : `: ${count} entries`, problem === "" ? "" : `${file === "" ? "" : ", "}${problem}`].join(""),
    ),
    isSound ? `${entries} entries, none changed, taken out or put in` : "the audit log was tampered with, or is damaged",
    ...(last === null ? [] : [`the last is ${last.number}:${last.hash} of ${last.at}; with --anchor it shows later that nothing up to it was cut off`]),
  ]);
  return isSound ? 0 : 1;
}
