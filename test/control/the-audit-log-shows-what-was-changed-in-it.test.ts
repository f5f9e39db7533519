import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { Audit, AUDIT_FILE, readAudit, verifyAudit } from "../../runtime/control/audit.ts";

const NOW = Date.UTC(2026, 10, 1);

function folder(t: TestContext): { dir: string; file: string; warned: string[]; open: (unixMs?: () => number) => Audit } {
  const dir = mkdtempSync(path.join(tmpdir(), "sluice-audit-"));
  t.after(() => rmSync(dir, { recursive: true }));
  const warned: string[] = [];
  return { dir, file: path.join(dir, AUDIT_FILE), warned, open: (unixMs = () => NOW) => new Audit(dir, unixMs, (text) => void warned.push(text)) };
}
const deed = (actor: string, action = "deploy") => ({ actor, action, outcome: "done", reason: "", facts: {} }) as const;

test("entries are numbered and chained, also over a restart, and only their owner reads them", (t) => {
  const { file, open, warned } = folder(t);
  const first = open();
  first.note(deed("ann"));
  first.note(deed("bob"));
  open().note(deed("cleo"));
  const { entries, problem } = readAudit(file);
  assert.deepEqual([problem, warned, entries.map(({ number, actor }) => `${number} ${actor}`)], ["", [], ["1 ann", "2 bob", "3 cleo"]]);
  assert.deepEqual(
    entries.slice(1).map(({ before }) => before),
    entries.slice(0, 2).map(({ hash }) => hash),
  );
  assert.equal(statSync(file).mode & 0o777, 0o600);
});

test("a line that was changed, taken out, put in or cut off shows, with its place", (t) => {
  const { file, open } = folder(t);
  const audit = open();
  for (const actor of ["ann", "bob", "cleo"]) audit.note(deed(actor));
  const text = readFileSync(file, "utf8");
  const lines = text.split("\n");
  const told = (changed: string): string => {
    writeFileSync(file, changed);
    return readAudit(file).problem;
  };
  assert.equal(told(text.replace('"bob"', '"eve"')), "line 2 was changed, or cut off");
  assert.equal(told([lines[0], lines[2], ""].join("\n")), "before line 2 something was taken out or put in");
  assert.equal(told([lines[0], lines[1], lines[1], lines[2]].join("\n")), "before line 3 something was taken out or put in");
  assert.equal(told(text.slice(0, -30)), "line 3 was changed, or cut off");
  assert.equal(told(text), "");
});

test("a broken log is kept as it is; the next one tells of it and goes on from the last sound line", (t) => {
  const { dir, file, open, warned } = folder(t);
  const audit = open();
  audit.note(deed("ann"));
  audit.note(deed("bob"));
  const broken = readFileSync(file, "utf8").replace('"bob"', '"eve"');
  writeFileSync(file, broken);
  open().note(deed("cleo"));
  assert.match(warned.join(), /line 2 was changed/);
  const { entries } = readAudit(file);
  assert.deepEqual(
    entries.map(({ number, actor, reason }) => [number, actor, reason]),
    [
      [2, "gateway", "line 2 was changed, or cut off"],
      [3, "cleo", ""],
    ],
  );
  const kept = readdirSync(dir).filter((name) => name.includes("broken"));
  assert.equal(kept.length, 1);
  assert.equal(readFileSync(path.join(dir, kept[0]!), "utf8"), broken);
});

test("strangers cannot fill it, nor hide each other: who is loud is soon only counted", (t) => {
  const { file, open } = folder(t);
  let nowMs = NOW;
  const audit = open(() => nowMs);
  const refused = (address: string, reason: string, action = "GET /v1/status"): void =>
    audit.note({ ...deed("", action), outcome: "refused", reason, facts: { address } });
  for (let i = 0; i < 1000; i++) refused("192.0.2.1", "UNAUTHORIZED: an Authorization that does not fit");
  refused("198.51.100.7", "UNAUTHORIZED: no Authorization");
  refused("192.0.2.1", "the preview token: it has expired", "preview");
  audit.note(deed("ann"));
  nowMs += 60_000;
  audit.note(deed("bob"));
  const { entries } = readAudit(file);
  assert.equal(entries.length, 15);
  assert.deepEqual(
    entries.slice(10).map(({ actor, reason }) => `${actor} ${reason}`),
    [" UNAUTHORIZED: no Authorization", " the preview token: it has expired", "ann ", "gateway and 990 more of UNAUTHORIZED: 990 from 192.0.2.1", "bob "],
  );
});

test("ten thousand addresses leave sixty lines of a kind in a minute, and the loudest are named", (t) => {
  const { file, open } = folder(t);
  let nowMs = NOW;
  const audit = open(() => nowMs);
  const refused = (address: string): void =>
    audit.note({ ...deed("", "GET /v1/status"), outcome: "refused", reason: "UNAUTHORIZED: no Authorization", facts: { address } });
  for (let i = 0; i < 50; i++) refused("203.0.113.9");
  for (let i = 0; i < 10_000; i++) refused(`10.0.${i >> 8}.${i & 255}`);
  // One home may have as many of them as it likes.
  for (let i = 0; i < 50; i++) refused(`2001:db8::${i}`);
  nowMs += 60_000;
  audit.note(deed("bob"));
  const { entries } = readAudit(file);
  assert.equal(entries.length, 62);
  assert.match(entries.at(-2)!.reason, /^and 10040 more of UNAUTHORIZED: 9851 from others, 40 from 203\.0\.113\.9, 1 from .*, the rest from \d+ more$/);
});

test("all files are verified together: one that is gone, a change in an old one, an end that was cut off", (t) => {
  const { dir, file, open } = folder(t);
  const audit = open();
  for (const actor of ["ann", "bob", "cleo", "dan"]) audit.note(deed(actor));
  const lines = readFileSync(file, "utf8").trim().split("\n");
  const part = (name: string, from: number, to: number): void => writeFileSync(path.join(dir, name), lines.slice(from, to).join("\n") + "\n");
  part("audit-1.log", 0, 1);
  part("audit-2.log", 1, 2);
  part(AUDIT_FILE, 2, 4);
  const whole = verifyAudit(dir, null);
  const numberOf = (line: number): { number: number; hash: string } => JSON.parse(lines[line]!) as { number: number; hash: string };
  assert.deepEqual([whole.isSound, whole.entries, whole.last?.hash], [true, 4, numberOf(3).hash]);
  const anchor = { number: 4, hash: numberOf(3).hash };
  assert.equal(verifyAudit(dir, anchor).isSound, true);

  part(AUDIT_FILE, 2, 3);
  assert.equal(verifyAudit(dir, null).isSound, true);
  assert.equal(verifyAudit(dir, anchor).files.at(-1)!.problem, `entry 4 is not there, expected one with the hash ${anchor.hash}`);
  part(AUDIT_FILE, 2, 4);

  rmSync(path.join(dir, "audit-2.log"));
  assert.deepEqual(verifyAudit(dir, null).files.at(-1)!.problem, "something is missing between entry 1 and its first one");
  part("audit-2.log", 1, 2);
  writeFileSync(path.join(dir, "audit-1.log"), lines[0]!.replace('"ann"', '"eve"') + "\n");
  assert.deepEqual(verifyAudit(dir, null).files[0]!.problem, "line 1 was changed, or cut off");
});

test("a log whose beginning was cut off is told, unless the entry before is known from elsewhere", (t) => {
  const { dir, file, open } = folder(t);
  const audit = open();
  for (const actor of ["ann", "bob", "cleo"]) audit.note(deed(actor));
  const lines = readFileSync(file, "utf8").trim().split("\n");
  writeFileSync(file, `${lines.slice(2).join("\n")}\n`);
  const { isSound, files } = verifyAudit(dir, null);
  assert.equal(isSound, false);
  assert.match(files[0]!.problem, /^begins with entry 3: what came before it is not there \(.*--anchor 2:HASH/);
  const { hash } = JSON.parse(lines[1]!) as { hash: string };
  assert.equal(verifyAudit(dir, { number: 2, hash }).isSound, true);
  assert.equal(verifyAudit(dir, { number: 2, hash: "0".repeat(64) }).isSound, false);
  assert.equal(verifyAudit(dir, { number: 1, hash }).isSound, false);
});
