import type { RuleResponse } from "sluice";

/** Writes "ok" into every <i>, and does what `how` says at `<i class=bad>`. */
export function failAtTheBadOne(res: RuleResponse, how: string | null): void {
  res.html.on("i", {
    element(el) {
      if (el.getAttribute("class") !== "bad") {
        el.setText("ok");
        return undefined;
      }
      switch (how) {
        case "throw":
          throw new Error("not this one");
        case "spin":
          for (;;);
        case "wait":
          return new Promise<void>(() => undefined);
        case "edits":
          for (let i = 0; i < 300; i++) el.append("x");
          return undefined;
        case "size":
          el.append("x".repeat(1_100_000));
          return undefined;
        case "late":
          res.headers.set("x-late", "1");
          return undefined;
        default:
          return undefined;
      }
    },
  });
}
