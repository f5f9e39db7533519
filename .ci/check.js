/** The one command for everything: format, lint, types, dead code, tests. Runs all of them, whatever fails, and says which did. */
import { spawnSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const tool = (name) => join(root, "node_modules", ".bin", name);

const STEPS = [
  { name: "format", command: [tool("oxfmt"), "--check", "."], remedy: "npm run format" },
  { name: "lint", command: [tool("oxlint"), "--type-aware", "--deny-warnings", "--report-unused-disable-directives"], remedy: "" },
  { name: "types", command: [tool("tsc"), "-p", "."], remedy: "" },
  { name: "dead code", command: [tool("knip")], remedy: "" },
  { name: "tests", command: [process.execPath, join(root, ".ci", "test.js")], remedy: "" },
];

const only = process.argv.slice(2);
const failed = [];
for (const { name, command, remedy } of STEPS) {
  if (only.length > 0 && !only.includes(name)) continue;
  process.stdout.write(`\ncheck: ${name}\n`);
  const result = spawnSync(command[0], command.slice(1), { cwd: root, stdio: "inherit" });
  if (result.error) process.stderr.write(`check: ${name}: ${result.error.message}\n`);
  if (result.status !== 0) failed.push(remedy ? `${name} (${remedy})` : name);
}
if (failed.length > 0) process.stdout.write(`\ncheck: failed: ${failed.join(", ")}\n`);
else process.stdout.write("\ncheck: all passed\n");
process.exitCode = failed.length > 0 ? 1 : 0;
