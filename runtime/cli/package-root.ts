import { existsSync } from "node:fs";
import path from "node:path";

/** The folder of the running package: the checkout, or where npm has put it. From `runtime/cli/` and from `dist/runtime/cli/`. */
export const packageRoot: string = [path.join(import.meta.dirname, "../.."), path.join(import.meta.dirname, "../../..")].find((folder) =>
  existsSync(path.join(folder, "package.json")),
)!;

/** Are these the sources themselves? Then `sluice` resolves by the condition that only a checkout has. */
export const isCheckout: boolean = existsSync(path.join(packageRoot, "sdk/index.ts"));
