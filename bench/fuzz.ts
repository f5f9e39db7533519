/**
 * `npm run fuzz`: heads and bodies of requests and responses, mutated byte by byte, read by our grammar and by llhttp. Every difference
 * must be one that is listed with its reason. Exit code 1 when something was found.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { compare, type Find, runBlock } from "./fuzz/block.ts";
import { saveToCorpus, SIDES } from "./fuzz/corpus.ts";
import { type BlockOrder, fuzz } from "./fuzz/run.ts";
import { PACKAGE_ROOT } from "./load/checkout.ts";

const DEFAULT_COUNT = 200_000;

const HELP = `npm run fuzz -- [options]

  --count N       cases; ${DEFAULT_COUNT.toLocaleString("en")} when left out, 10000000 for the proof
  --seed N        makes a run repeatable; any when left out, and printed
  --processes N   one for each core when left out
  --finds DIR     where finds are written; bench/results/tmp/finds when left out
  --again FILE    one find again
  --save          adds to bench/fuzz/corpus what was read in a new way
`;

const { values } = parseArgs({
  options: {
    count: { type: "string", default: String(DEFAULT_COUNT) },
    seed: { type: "string", default: String(Date.now() % 1_000_000_000) },
    processes: { type: "string", default: String(availableParallelism()) },
    finds: { type: "string", default: join(PACKAGE_ROOT, "bench", "results", "tmp", "finds") },
    again: { type: "string", default: "" },
    save: { type: "boolean", default: false },
    child: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

function child(): void {
  process.on("message", ({ seed, block, cases, traceFile }: BlockOrder) => {
    let index = 0;
    const trace = traceFile === "" ? undefined : (tried: object): void => writeFileSync(traceFile, JSON.stringify({ ...tried, index: index++ }));
    process.send!(runBlock(seed, block, cases, trace));
  });
}

function again(file: string): number {
  const find = JSON.parse(readFileSync(file, "utf8")) as Find & { shortest: string };
  const differences = [find.text, find.shortest].map((text) => compare({ ...find, text }).difference);
  process.stdout.write(differences.map((difference) => `${difference || "no difference"}\n`).join(""));
  return differences.every((difference) => difference === "") ? 0 : 1;
}

async function main(): Promise<number> {
  if (values.help) {
    process.stdout.write(HELP);
    return 0;
  }
  if (values.again !== "") return again(values.again);
  const [count, seed, processes] = [values.count, values.seed, values.processes].map(Number) as [number, number, number];
  if (![count, seed, processes].every(Number.isSafeInteger) || count < 1 || processes < 1) {
    process.stderr.write(`--count, --seed and --processes are whole numbers\n${HELP}`);
    return 2;
  }
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  say(`fuzz: ${count.toLocaleString("en")} cases, seed ${seed}, ${processes} processes`);
  const result = await fuzz({ count, seed, processes, findsFolder: values.finds, child: fileURLToPath(import.meta.url), say });
  if (values.save) for (const side of SIDES) say(`  ${saveToCorpus(side, result.texts[side])} ${side} added to the corpus`);
  const found = [...result.finds].map(([kind, times]) => `  ${times} × ${kind}`);
  process.stdout.write(
    `${result.cases.toLocaleString("en")} cases in ${result.seconds.toFixed(0)} s, read in ${result.kinds.toLocaleString("en")} ways: ${found.length === 0 ? "nothing found" : `found\n${found.join("\n")}\nagain with: npm run fuzz -- --seed ${seed} --count ${count}`}\n`,
  );
  return found.length === 0 ? 0 : 1;
}

if (values.child) child();
else process.exitCode = await main();
