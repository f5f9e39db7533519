import vm from "node:vm";
import { bundle } from "./runtime/sandbox/kernel/build.ts";
import { hookRecord } from "./runtime/sandbox/hook-text.ts";
import { Fields } from "./runtime/proxy/fields.ts";
import { MARK_BYTES } from "./runtime/sandbox/kernel/mark.ts";
import { createRequire } from "node:module";
const ivm = createRequire(import.meta.url)("isolated-vm");
const CODE = `(sluice) => { function variantOf(text) { let hash = 0x811c9dc5; for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 16777619); return (hash >>> 0) % 100 < 50 ? "a" : "b"; }
return { default: sluice.defineRule({ onRequest(req, ctx) {
  const variant = variantOf(req.headers.get("user-agent") ?? "");
  ctx.state.variant = variant;
  req.headers.set("x-variant", variant); req.headers.delete("x-debug");
  req.path = "/new/" + req.path.slice(5);
}, onResponse(res, _req, ctx) { res.headers.set("x-variant", ctx.state.variant ?? ""); res.headers.delete("x-trace-id"); } }) } }`;
const reqF = () => Fields.of(["user-agent", "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101 Firefox/150.0"], ["accept", "text/html,*/*;q=0.8"], ["accept-encoding", "gzip, br"], ["cookie", "sid=0123456789abcdef; theme=dark"], ["x-debug", "1"], ["accept-language","en"]);
const resF = () => Fields.of(["date", "Sat, 21 Nov 2026 07:00:00 GMT"], ["content-type", "text/html"], ["x-trace-id", "abcdef"], ["cache-control", "no-store"], ["etag", '"abc"'], ["via", "1.1 sluice"]);
const extra = `{"client":{"address":"127.0.0.1","port":40000,"scheme":"http","httpVersion":"1.1","country":""},"requestId":"abcdef012345-zz1"`;
let records = ""; const seed = "5".repeat(32);
for (let i = 0; i < 22; i++) {
  const request = { method: "GET", scheme: "http" as const, authority: "bench.example.com", target: "/old/page", fields: reqF() };
  records += hookRecord({ call: 1000 + 2 * i, release: 1, context: 0, phase: "onRequest", clockMs: 1767225600000, seed, cpuMs: 50, request, response: null, extra: extra + "}" } as never, `1;0;12:{"0":"page"}0:`);
  records += hookRecord({ call: 1001 + 2 * i, release: 1, context: 0, phase: "onResponse", clockMs: 1767225600000, seed, cpuMs: 50, request, response: { status: 200, fields: resF() }, extra: extra + ',"upstream":"origin","from":"upstream"}' } as never, `1;0;12:{"0":"page"}15:{"variant":"a"}`);
}
const input = JSON.stringify({ index: 0, name: "bench.ts", secrets: {}, vars: {}, crossingBytes: 1 << 20, nowMs: 1, globals: "refused" });
const mode = process.argv[2] ?? "ivm";
const code = await bundle();
let enter: (r: string) => string;
if (mode === "vm") {
  const ctx = vm.createContext({});
  const boot = vm.runInContext(code, ctx, { filename: "kernel.js" });
  const k = boot(new SharedArrayBuffer(MARK_BYTES), () => "", () => 0, () => 0);
  console.log(k.load(input, vm.runInContext(CODE, ctx)).slice(0, 60));
  enter = k.enter;
} else {
  const iso = (globalThis as any).iso = new ivm.Isolate({ memoryLimit: 64 }); const ctx = iso.createContextSync();
  const boot = iso.compileScriptSync(code).runSync(ctx, { reference: true });
  const inside = boot.applySync(undefined, [new ivm.ExternalCopy(new SharedArrayBuffer(MARK_BYTES)).copyInto(), new ivm.Callback(() => ""), new ivm.Callback(() => 0), new ivm.Callback(() => 0)], { result: { reference: true } });
  const m = (n: string) => inside.getSync(n, { reference: true });
  console.log(m("load").applySync(undefined, [input, iso.compileScriptSync(CODE).runSync(ctx, { reference: true }).derefInto()]).slice(0, 60)); m("seal").applySync(undefined, [true]);
  const e = m("enter"); const opt = process.argv[3] === "no" ? {} : { timeout: 75 };
  enter = (r) => e.applySync(undefined, [r], opt);
}
console.log(records.length, enter(records).length);
// fresh flat strings as frames are
const buf = Buffer.from(records, "latin1");
for (let k = 0; k < 12; k++) {
  const c0 = process.cpuUsage(); const R = 6000;
  for (let i = 0; i < R; i++) enter(buf.latin1Slice(0, buf.length));
  const c = process.cpuUsage(c0);
  console.log(Math.round(process.memoryUsage().rss/1048576), JSON.stringify((({total_heap_size,used_heap_size,external_memory,externally_allocated_size,malloced_memory})=>({total_heap_size,used_heap_size,external_memory,externally_allocated_size,malloced_memory}))((globalThis as any).iso.getHeapStatisticsSync())), `${mode}: ${((c.user) / (R * 22)).toFixed(2)} + ${((c.system) / (R * 22)).toFixed(2)} µs per two hooks`);
}
