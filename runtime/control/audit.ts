/**
 * The audit log: who asked for which change, and what came of it. Lines of JSON that are only ever appended; each holds the hash of the one
 * before, so that a line taken out or changed later shows (RFC 6962's idea, as a chain).
 */
import { createHash } from "node:crypto";
import { closeSync, existsSync, fsyncSync, mkdirSync, openSync, readdirSync, readFileSync, renameSync, statSync, writeSync } from "node:fs";
import path from "node:path";
import { networkOf } from "../ratelimit/ratelimit.ts";
import type { Deed } from "./admin.ts";
import { Strangers } from "./strangers.ts";

export interface AuditEntry {
  readonly number: number;
  readonly at: string;
  /** Name of the token, `"gateway"` for what it did by itself, "" for nobody known. */
  readonly actor: string;
  readonly action: string;
  readonly outcome: "done" | "refused";
  readonly reason: string;
  readonly facts: Readonly<Record<string, string | number | boolean>>;
  /** Hash of the entry before; of the last one of the file before, in a new file. */
  readonly before: string;
  /** SHA-256 in hex over this line without it. */
  readonly hash: string;
}
export type AuditFacts = Pick<AuditEntry, "actor" | "action" | "outcome" | "reason" | "facts">;

export const AUDIT_FILE = "audit.log";
const FIRST = "0".repeat(64);
const FILE_LIMIT_BYTES = 16 * 1024 * 1024;
/** Written at once and to the disk, before whoever asked is answered: it is small and rare. */
export class Audit {
  readonly #file: string;
  readonly #unixMs: () => number;
  readonly #warn: (text: string) => void;
  /** They may be refused as often as they like; the log says how many more there were, and from where. */
  readonly #strangers = new Strangers();
  #full = false;
  #number = 0;
  #before = FIRST;

  constructor(stateDir: string, unixMs: () => number, warn: (text: string) => void) {
    this.#file = path.join(stateDir, AUDIT_FILE);
    this.#unixMs = unixMs;
    this.#warn = warn;
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
    const { entries, problem } = readAudit(this.#file);
    const last = entries.at(-1);
    if (last !== undefined) {
      this.#number = last.number;
      this.#before = last.hash;
    }
    if (problem === "") return;
    // Nothing is mended: the broken file stays as it is under another name, and the next one is chained to its last sound line.
    warn(`${this.#file}: ${problem}`);
    renameSync(this.#file, path.join(stateDir, `audit-${this.#number + 1}-broken-${unixMs()}.log`));
    this.note({ actor: "gateway", action: "open the audit log", outcome: "refused", reason: problem, facts: {} });
  }

  note(facts: AuditFacts): void {
    for (const reason of this.#strangers.over(this.#unixMs())) this.#enter({ actor: "gateway", action: "count", outcome: "refused", reason, facts: {} });
    if (facts.actor !== "" || this.#strangers.mayTell(kindOf(facts), sourceOf(facts))) this.#enter(facts);
  }

  #enter(facts: AuditFacts): void {
    const entry = { number: this.#number + 1, at: new Date(this.#unixMs()).toISOString(), ...facts, before: this.#before };
    const line = { ...entry, hash: hashOf(entry) };
    try {
      this.#append(`${JSON.stringify(line)}\n`);
    } catch (thrown) {
      this.#warn(`${this.#file}: ${(thrown as Error).message}`);
      return;
    }
    this.#number = line.number;
    this.#before = line.hash;
    if (this.#full) this.#turnOver();
  }

  /** What somebody asked of the admin API. */
  deed({ actor, action, status, reason, address }: Deed): void {
    this.note({ actor, action, outcome: status < 400 ? "done" : "refused", reason, facts: { status, address } });
  }

  #append(text: string): void {
    const descriptor = openSync(this.#file, "a", 0o600);
    let bytes: number;
    try {
      writeSync(descriptor, text);
      fsyncSync(descriptor);
      bytes = statSync(this.#file).size;
    } finally {
      closeSync(descriptor);
    }
    if (bytes > FILE_LIMIT_BYTES) this.#full = true;
  }

  #turnOver(): void {
    this.#full = false;
    renameSync(this.#file, path.join(path.dirname(this.#file), `audit-${this.#number}.log`));
    // At once, so that the chain goes on after a restart too.
    this.note({ actor: "gateway", action: "begin a new audit file", outcome: "done", reason: "", facts: { last: this.#number } });
  }
}

/** "UNAUTHORIZED", "preview": which kind of refusal it is. There are few, and none is of a stranger's choice. */
function kindOf({ action, reason }: AuditFacts): string {
  return /^[A-Z][A-Z_]+(?=: )/.exec(reason)?.[0] ?? (action.includes("/") ? "requests" : action);
}

function sourceOf({ facts: { address = "" } }: AuditFacts): string {
  return address === "" ? "somebody" : networkOf(String(address), 32, 64);
}

export interface AuditVerdict {
  readonly files: readonly { readonly file: string; readonly entries: number; readonly problem: string }[];
  readonly entries: number;
  readonly last: Pick<AuditEntry, "number" | "hash" | "at"> | null;
  readonly isSound: boolean;
}

/** An entry that was written down elsewhere. */
export interface AuditAnchor {
  readonly number: number;
  readonly hash: string;
}

/**
 * All files of a gateway's log, each in itself and each chained to the one before. What was cut off at the very end shows only to who knows an entry
 * (`anchor`) that should be there.
 */
export function verifyAudit(stateDir: string, anchor: AuditAnchor | null): AuditVerdict {
  const files: { file: string; entries: number; problem: string }[] = [];
  let last: AuditEntry | null = null;
  let found = "";
  for (const file of auditFiles(stateDir)) {
    const { entries, problem } = readAudit(path.join(stateDir, file));
    const [first] = entries;
    const isCut = first !== undefined && last !== null && first.before !== last.hash;
    files.push({
      file,
      entries: entries.length,
      problem: isCut ? `something is missing between entry ${last!.number} and its first one` : last === null ? beginning(first, anchor) || problem : problem,
    });
    if (last === null && first !== undefined && first.number - 1 === anchor?.number) found = first.before;
    found ||= entries.find(({ number }) => number === anchor?.number)?.hash ?? "";
    last = entries.at(-1) ?? last;
  }
  if (anchor !== null && found !== anchor.hash)
    files.push({
      file: "",
      entries: 0,
      problem: `entry ${anchor.number} ${found === "" ? "is not there" : "is another one"}, expected one with the hash ${anchor.hash}`,
    });
  return {
    files,
    entries: files.reduce((sum, { entries }) => sum + entries, 0),
    last: last === null ? null : { number: last.number, hash: last.hash, at: last.at },
    isSound: files.every(({ problem }) => problem === ""),
  };
}

/** The first entry of all follows on nothing. Older files may be kept elsewhere; then the anchor is the last entry of those. */
function beginning(first: AuditEntry | undefined, anchor: AuditAnchor | null): string {
  if (first === undefined || first.before === FIRST || (anchor?.number === first.number - 1 && anchor.hash === first.before)) return "";
  return `begins with entry ${first.number}: what came before it is not there (kept elsewhere? then verify with --anchor ${first.number - 1}:HASH of the last entry there)`;
}

/** Oldest first: those that were full, and those that were found broken, by the entry that followed; the one in use last. */
function auditFiles(stateDir: string): string[] {
  const numbered = readdirSync(stateDir).flatMap((file) => {
    const match = /^audit-(\d+)(-broken-\d+)?\.log$/.exec(file);
    return match === null ? [] : [{ file, number: Number(match[1]) }];
  });
  numbered.sort((a, b) => a.number - b.number);
  return [...numbered.map(({ file }) => file), ...(existsSync(path.join(stateDir, AUDIT_FILE)) ? [AUDIT_FILE] : [])];
}

/** All sound entries from the beginning, and what is wrong with the first that is not. */
export function readAudit(file: string): { readonly entries: readonly AuditEntry[]; readonly problem: string } {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === "ENOENT") return { entries: [], problem: "" };
    throw thrown;
  }
  const entries: AuditEntry[] = [];
  for (const [i, line] of text.split("\n").entries()) {
    if (line === "") continue;
    const entry = entryOf(line);
    if (entry === null) return { entries, problem: `line ${i + 1} was changed, or cut off` };
    const last = entries.at(-1);
    if (last !== undefined && entry.before !== last.hash) return { entries, problem: `before line ${i + 1} something was taken out or put in` };
    entries.push(entry);
  }
  return { entries, problem: "" };
}

function entryOf(line: string): AuditEntry | null {
  try {
    const entry = JSON.parse(line) as AuditEntry;
    const { hash, ...rest } = entry;
    return hash === hashOf(rest) ? entry : null;
  } catch {
    // Said by whoever reads.
    return null;
  }
}

function hashOf(entry: Omit<AuditEntry, "hash">): string {
  return createHash("sha256").update(JSON.stringify(entry)).digest("hex");
}
