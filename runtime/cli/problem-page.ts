/** What a browser shows in `sluice dev` while a save is broken: where, what, the lines around it. */
import { createHash } from "node:crypto";
import type { Problem } from "../compile/compile.ts";

export interface ProblemPage {
  readonly html: string;
  /** In the cookie of a developer who wants to see the site by the last good release nevertheless. */
  readonly id: string;
}

export function problemPage(problems: readonly Problem[], lastGood: string): ProblemPage {
  const id = createHash("sha256").update(JSON.stringify(problems)).digest("hex").slice(0, 12);
  const list = problems
    .map(
      (problem) =>
        `<section><h2>${escape(problem.text)}</h2><p class="where">${escape(where(problem))}</p>${problem.frame === "" ? "" : `<pre>${escape(problem.frame)}</pre>`}</section>`,
    )
    .join("\n");
  const good =
    lastGood === ""
      ? "Nothing is served until it is mended."
      : `Release <code>${escape(lastGood)}</code>, the last good one, keeps serving everything but page loads. <button>Show the site with it</button>`;
  return {
    id,
    html: `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>sluice: ${problems.length} problem${problems.length === 1 ? "" : "s"}</title>
<style>
:root{color-scheme:light dark}body{margin:0;font:15px/1.5 system-ui,sans-serif;background:light-dark(#f5f2ee,#14171b);color:light-dark(#22262b,#e4e8ec)}
main{max-width:56rem;margin:3rem auto;padding:0 1.5rem}header{border-left:4px solid #d0452f;padding-left:1rem;margin-bottom:2rem}h1{font-size:1.4rem;margin:0}header p{margin:.3rem 0 0;opacity:.75}
section{background:light-dark(#fff,#1d2126);border-radius:10px;padding:1.2rem 1.5rem;margin-bottom:1.2rem;box-shadow:0 1px 3px #0003}h2{font-size:1.05rem;margin:0;color:light-dark(#b3321d,#ff8d79)}
.where{font-family:ui-monospace,monospace;margin:.3rem 0 .8rem;opacity:.8}pre{margin:0;padding:1rem;overflow-x:auto;border-radius:6px;background:light-dark(#f5f2ee,#121518);font:13px/1.55 ui-monospace,monospace}
button{font:inherit;margin-left:.5rem;padding:.2rem .8rem;border-radius:6px;border:1px solid #8886;background:transparent;color:inherit;cursor:pointer}
</style>
<main><header><h1>The last save does not compile</h1><p>${good}</p></header>
${list}
</main>
<script>
document.querySelector("button")?.addEventListener("click", () => { document.cookie = "sluice-dev=${id}; path=/; SameSite=Lax"; location.reload() })
setInterval(async () => {
  const answer = await fetch(location.href, { headers: { accept: "text/html" }, redirect: "manual" }).catch(() => null)
  if (answer && answer.headers.get("sluice-problem") !== "${id}") location.reload()
}, 700)
</script>
</html>
`,
  };
}

function where({ file, line, column }: Problem): string {
  return line > 0 ? `${file}:${line}:${column}` : file;
}

function escape(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
