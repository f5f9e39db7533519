/** Edited pages: the same however they were cut, for how much CPU, how soon their first byte leaves, and what is left of them in memory. */
import { spawn } from "node:child_process";
import http from "node:http";
import { join } from "node:path";
import { compileEdits, type CompiledEdits, HtmlEditor } from "../../runtime/experiments/edits/edits.ts";
import { EIGHT_EDITS, REAL_PAGES, type RealPage } from "../../test/experiments/real-pages.ts";
import { type Claim, type Finding, judged, type Proof } from "./claim.ts";
import { startGateway } from "./gateway.ts";
import type { Held } from "./html-edits-main.ts";
import { startOrigin } from "./origin.ts";

const MOST_CPU_MS = 0.6;
const MOST_DELAY_MS = 1;
const PAGES = 50_000;
/** By then code is compiled, and the allocator has what it takes: measured, resident memory moves by 30 MiB until here, and by 2 from here on. */
const SETTLED_PART = 2;
/** What garbage collection and the allocator may still move until the last tenth. */
const FLAT_HEAP_BYTES = 1024 * 1024;
const FLAT_RESIDENT_BYTES = 16 * 1024 * 1024;
const PAGE_BYTES = 5_000;

const EDITS = compileEdits(EIGHT_EDITS);

export const htmlEdits: Claim = {
  name: "html-edits",
  asked: `every chunk split of 50 real-shaped pages: identical output; 5 KB page at most ${MOST_CPU_MS} ms CPU; first byte delayed at most ${MOST_DELAY_MS} ms; 50,000 pages, flat memory`,
  when: "always",
  measure,
};

async function measure({ short, say }: Proof): Promise<Finding> {
  const cut = cutEverywhere(short ? 97 : 1);
  say(`  ${cut.ways.toLocaleString("en")} ways to cut, ${cut.differing.length} came out otherwise`);
  const cpuMs = cpuOfPage(short ? 200 : 3000);
  say(`  ${cpuMs.toFixed(3)} ms of CPU for a page of 5 KB`);
  const delay = await firstByteDelay(short ? 50 : 500);
  say(`  the first byte ${delay.medianMs.toFixed(2)} ms later, before the rest of the page was sent: ${delay.streamed}`);
  const memory = await heldAfter(short ? 1000 : PAGES);
  const heapGrowth = memory.at(-1)!.heapBytes - memory[SETTLED_PART]!.heapBytes;
  const residentGrowth = memory.at(-1)!.residentBytes - memory[SETTLED_PART]!.residentBytes;
  const mib = (bytes: number): string => `${bytes < 0 ? "−" : "+"}${(Math.abs(bytes) / 1048576).toFixed(1)} MiB`;
  return judged(
    `${cut.ways.toLocaleString("en")} ways to cut ${REAL_PAGES.length} pages (each byte, each size of pieces to 64, every way for small ones): ${cut.differing.length} differ; ` +
      `a page of 5 KB with eight edits ${cpuMs.toFixed(2)} ms of CPU; first byte ${delay.medianMs.toFixed(2)} ms later (median of ${delay.count} pages, ${delay.plainMs.toFixed(2)} ms without edits); ` +
      `${(short ? 1000 : PAGES).toLocaleString("en")} pages, a fifth of them gzipped: heap ${mib(heapGrowth)}, resident ${mib(residentGrowth)} from the third tenth to the last (${(memory.at(-1)!.residentBytes / 1048576).toFixed(0)} MiB)`,
    [
      cut.differing.length > 0 && cut.differing.slice(0, 3).join(", "),
      cpuMs > MOST_CPU_MS && `above ${MOST_CPU_MS} ms`,
      delay.medianMs > MOST_DELAY_MS && `delayed by more than ${MOST_DELAY_MS} ms`,
      !delay.streamed && "the first byte waits for the last",
      heapGrowth > FLAT_HEAP_BYTES && "the heap grows",
      residentGrowth > FLAT_RESIDENT_BYTES && "resident memory grows",
    ],
  );
}

/** In one buffer: `cuts` ascending. */
function edited(bytes: Buffer, charset: string, cuts: readonly number[], edits: CompiledEdits = EDITS): Buffer {
  const editor = new HtmlEditor(edits, { charset });
  const out: Buffer[] = [];
  let from = 0;
  for (const cut of [...cuts, bytes.length]) {
    // Views are used before anything else is written.
    for (const piece of editor.write(bytes.subarray(from, cut))) out.push(Buffer.from(piece));
    from = cut;
  }
  for (const piece of editor.end()) out.push(piece);
  return Buffer.concat(out);
}

const SMALL: readonly string[] = ["<p><b>x</p>y<li>", "<h1 a=1>é</h1><", "<li>a<li>b</ul>", "<!--><h1>x</h1>", "<title><h1></t", "<a class=cta>&am"];

/** `step`: 1 cuts at every byte. */
function cutEverywhere(step: number): { ways: number; differing: string[] } {
  const differing: string[] = [];
  let ways = 0;
  const compare = ({ name, bytes, charset }: RealPage, whole: Buffer, cuts: readonly number[]): void => {
    ways++;
    if (!edited(bytes, charset, cuts).equals(whole)) differing.push(`${name} cut at ${cuts.slice(0, 3).join(", ")}`);
  };
  for (const page of REAL_PAGES) {
    const { length } = page.bytes;
    const whole = edited(page.bytes, page.charset, []);
    for (let cut = 1; cut < length; cut += step) compare(page, whole, [cut]);
    for (let size = 1; size <= 64; size += Math.min(step, 21)) {
      const cuts = Array.from({ length: Math.ceil(length / size) - 1 }, (_, i) => (i + 1) * size);
      compare(page, whole, cuts);
    }
  }
  for (const text of SMALL) {
    const page = { name: text, bytes: Buffer.from(text), charset: "utf-8" };
    const whole = edited(page.bytes, page.charset, []);
    const places = page.bytes.length - 1;
    for (let bits = 0; bits < 1 << places; bits += step) {
      const cuts = Array.from({ length: places }, (_, i) => i + 1).filter((_, i) => ((bits >> i) & 1) === 1);
      compare(page, whole, cuts);
    }
  }
  return { ways, differing };
}

/** The real-shaped page that is nearest to 5 KB, in one piece. */
function cpuOfPage(times: number): number {
  const page = REAL_PAGES.reduce((best, each) => (Math.abs(each.bytes.length - PAGE_BYTES) < Math.abs(best.bytes.length - PAGE_BYTES) ? each : best));
  let cpuUs = 0;
  // The first round is for the compiler.
  for (const count of [500, times]) {
    const before = process.cpuUsage();
    for (let i = 0; i < count; i++) edited(page.bytes, page.charset, []);
    const { user, system } = process.cpuUsage(before);
    cpuUs = (user + system) / count;
  }
  return cpuUs / 1000;
}

const REST_AFTER_MS = 20;

/** Through a gateway, page after page, edited and not in turn. The origin holds the rest back for a while: whoever waits for it is late. */
async function firstByteDelay(count: number): Promise<{ medianMs: number; plainMs: number; count: number; streamed: boolean }> {
  const page = REAL_PAGES.find(({ name }) => name === "home, plain")!.bytes;
  const origin = await startOrigin((_, response) => {
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
    response.write(page.subarray(0, 1500));
    setTimeout(() => response.end(page.subarray(1500)), REST_AFTER_MS);
  });
  const rule = (path: string, does: string): string =>
    `import { defineRule } from "sluice"\nexport default defineRule({ when: { path: "${path}" }, onResponse(res) { ${does} } })\n`;
  const gateway = await startGateway({
    command: "start",
    config: { upstreams: { site: { targets: [origin.url] } } },
    rules: {
      "edited.ts": rule("/edited", `res.html.setText("h1", "Buy it now"); res.html.setAttribute("a.cta", "href", "/quick"); res.html.append("main", "!")`),
      "plain.ts": rule("/plain", `res.headers.set("x-plain", "1")`),
    },
  });
  try {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    const times: { edited: number[]; plain: number[] } = { edited: [], plain: [] };
    for (let i = 0; i < count + 20; i++) {
      for (const path of ["edited", "plain"] as const) {
        const ms = await firstByteMs(`${gateway.url}/${path}`, agent);
        if (i >= 20) times[path].push(ms);
      }
    }
    agent.destroy();
    const [withEdits, plainMs] = [median(times.edited), median(times.plain)];
    return { medianMs: withEdits - plainMs, plainMs, count, streamed: withEdits < REST_AFTER_MS / 2 };
  } finally {
    await gateway.stop();
    origin.close();
  }
}

/** Of the body, from the moment the request is sent. */
function firstByteMs(url: string, agent: http.Agent): Promise<number> {
  return new Promise((resolve, reject) => {
    const sentMs = performance.now();
    let firstMs = 0;
    http
      .get(url, { agent }, (response) => {
        response.on("data", () => (firstMs ||= performance.now() - sentMs));
        response.on("end", () => resolve(firstMs));
        response.on("error", reject);
      })
      .on("error", reject);
  });
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)]!;
}

function heldAfter(pages: number): Promise<readonly Held[]> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ["--conditions=sluice-source", "--expose-gc", join(import.meta.dirname, "html-edits-main.ts"), String(pages)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    let text = "";
    child.stdout.setEncoding("utf8").on("data", (piece: string) => (text += piece));
    child.on("error", reject);
    child.on("close", (code) => (code === 0 ? resolve(JSON.parse(text) as Held[]) : reject(new Error(`the process that edits pages ended with ${code}`))));
  });
}
