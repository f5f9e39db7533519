import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import type { Browser } from "playwright-core";
import { chromium } from "playwright-core";

const PROGRAMS = ["chromium", "chromium-browser", "google-chrome"];

/** The machine's own Chromium (`SLUICE_CHROMIUM`, or the first on the path); `npm test` has made sure that there is one. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({
    executablePath: process.env.SLUICE_CHROMIUM ?? findChromium(),
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"],
  });
}

function findChromium(): string {
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    for (const program of PROGRAMS) {
      const file = join(folder, program);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        continue;
      }
    }
  }
  throw new Error("no Chromium on the path: sudo apt-get install chromium, or name one in SLUICE_CHROMIUM");
}
