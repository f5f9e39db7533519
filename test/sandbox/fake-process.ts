/** A sandbox process that only pretends: the first words of a rule's code say how it misbehaves. Speaks the protocol by itself. */
import fs from "node:fs";
import { Socket } from "node:net";
import { TextReader, TextWriter } from "../../runtime/sandbox/codec.ts";
import { FromSandbox, ToSandbox, type LoadMessage } from "../../runtime/sandbox/protocol.ts";

const pipe = new Socket({ fd: 3 });
let code = "";
let rest = Buffer.alloc(0);

function frame(text: string): void {
  const head = Buffer.alloc(5);
  head.writeUInt32LE(text.length);
  pipe.write(Buffer.concat([head, Buffer.from(text, "latin1")]));
}

/** What `run` says, or the code of what stopped it. */
function attempt(run: () => unknown): string {
  try {
    return `did ${String(run())}`;
  } catch (thrown) {
    return (thrown as NodeJS.ErrnoException).code ?? String(thrown);
  }
}

/** Tries from inside what no sandbox may do, and tells what came of each. */
async function tries(): Promise<string> {
  const { execSync } = await import("node:child_process");
  const { Worker } = await import("node:worker_threads");
  const net = await import("node:net");
  const connected = await new Promise<string>((resolve) => {
    try {
      net
        .connect(1, "127.0.0.1")
        .on("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? ""))
        .on("connect", () => resolve("did connect"));
    } catch (thrown) {
      resolve((thrown as NodeJS.ErrnoException).code ?? String(thrown));
    }
  });
  const sqlite = await import("node:sqlite").then(
    () => "did load",
    (error: unknown) => (error as NodeJS.ErrnoException).code ?? "",
  );
  return JSON.stringify({
    read: attempt(() => fs.readFileSync("/etc/passwd")),
    write: attempt(() => fs.writeFileSync("/tmp/sluice-sandbox-was-here", "1")),
    child: attempt(() => execSync("id")),
    worker: attempt(() => new Worker("1", { eval: true })),
    signal: attempt(() => process.kill(process.ppid, 0)),
    environment: Object.keys(process.env).join(),
    uid: process.getuid?.(),
    connected,
    sqlite,
  });
}

const answers: Record<string, (call: number) => string> = {
  honest: (call) => new TextWriter().num(FromSandbox.DONE).num(call).num(0).num(0).num(0).str("").num(0).str("").take(),
  "unknown-kind": () => new TextWriter().num(77).take(),
  "no-number": () => "hello",
  "unknown-call": () => new TextWriter().num(FromSandbox.DONE).num(999_999_999).num(0).num(0).num(0).str("").num(0).str("").take(),
  "foreign-rule": (call) => new TextWriter().num(FromSandbox.DONE).num(call).num(0).num(1).num(55).str("").num(0).str("").take(),
  "foreign-effect": (call) =>
    new TextWriter().num(FromSandbox.DONE).num(call).num(0).num(0).num(0).str("").num(0).str(new TextWriter().num(3).num(55).str("x-a").str("1").take()).take(),
  "answer-without-answer": (call) => new TextWriter().num(FromSandbox.DONE).num(call).num(0).num(1).num(0).str("").num(0).str("").take(),
  "call-out-of-order": (call) => new TextWriter().num(FromSandbox.CALL).num(call).num(7).num(0).str("fetch").str("{}").take(),
  smuggled: (call) =>
    new TextWriter()
      .num(FromSandbox.DONE)
      .num(call)
      .num(0)
      .num(0)
      .num(0)
      .str("")
      .num(0)
      .str(new TextWriter().num(3).num(0).str("x-a").str("1\r\nx-evil: 1").take())
      .take(),
};

/** Element callbacks: what the hook call says at first, and to the elements that it is given. */
const elementAnswers: Readonly<Record<string, string>> = {
  "element-edits": JSON.stringify({ edits: [[{ kind: "setAttribute", selector: "*", name: "a b", value: "" }]], failures: [] }),
  "element-answers": JSON.stringify({ edits: [], failures: [] }),
};
const wantsElements = (call: number, callNo: number, args: string): string =>
  new TextWriter().num(FromSandbox.CALL).num(call).num(callNo).num(0).str("elements").str(args).take();
const doneWithElements = (call: number): string =>
  wantsElements(call, 1, elementAnswers["element-answers"]!) +
  new TextWriter().num(FromSandbox.DONE).num(call).num(2).num(0).num(0).str("").num(0).str("").take();

async function take(text: string): Promise<void> {
  const reader = new TextReader(text);
  const writer = new TextWriter();
  while (!reader.done) {
    const kind = reader.num();
    if (kind === ToSandbox.PING) writer.num(FromSandbox.PONG).num(reader.num());
    else if (kind === ToSandbox.LOAD) {
      const release = reader.num();
      code = (JSON.parse(reader.str()) as LoadMessage).rules[0]?.code ?? "";
      if (code === "tries")
        writer
          .num(FromSandbox.LOADED)
          .num(release)
          .num(0)
          .str(JSON.stringify({ error: { rule: "a.ts", message: await tries(), stack: "" } }));
      else writer.num(FromSandbox.LOADED).num(release).num(1).str("{}");
    } else if (kind === ToSandbox.HOOK) {
      const call = reader.num();
      if (code === "exit") process.exit(3);
      if (code === "oversize") {
        const head = Buffer.alloc(5);
        head.writeUInt32LE(0x7fffffff);
        pipe.write(head);
      }
      if (code === "silent") for (;;);
      writer.raw(code in elementAnswers ? doneWithElements(call) : (answers[code]?.(call) ?? ""));
      break;
    } else if (kind === ToSandbox.REPLY && code in elementAnswers) {
      const call = reader.num();
      const callNo = reader.num();
      reader.num();
      reader.str();
      writer.raw(wantsElements(call, callNo + 1, elementAnswers[code]!));
    } else break;
  }
  if (writer.length > 0) frame(writer.take());
}

pipe.on("data", (bytes: Buffer) => {
  rest = Buffer.concat([rest, bytes]);
  while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32LE(0)) {
    const end = 5 + rest.readUInt32LE(0);
    const text = rest.toString(rest[4] === 0 ? "latin1" : "utf16le", 5, end);
    rest = rest.subarray(end);
    void take(text);
  }
});
pipe.on("close", () => process.exit(0));
