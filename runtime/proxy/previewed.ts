/** An exchange that asks for a release by a preview token: it may have to wait until that is loaded. */
import { asGatewayError, GatewayError } from "../errors.ts";
import { PREVIEW_NAME } from "../security/preview-token.ts";
import type { Core } from "./core.ts";
import type { Exchange } from "./exchange.ts";
import type { Fields } from "./fields.ts";
import type { GatewayInputs } from "./gateway-inputs.ts";
import type { HookTable } from "./hook-plan.ts";
import { keepOut } from "./shared-caches.ts";

type Begin = (exchange: Exchange, core: Core, inputs: GatewayInputs, table: HookTable | null, refusal: GatewayError | null) => void;

export function previewed(exchange: Exchange, core: Core, inputs: GatewayInputs, begin: Begin): void {
  const go = (found: HookTable | GatewayError): void => {
    if (found instanceof GatewayError) begin(exchange, core, inputs, null, found);
    else begin(exchange, core, inputs, found, null);
  };
  if (core.previews === null) {
    go(new GatewayError("PREVIEW_REFUSED", "this gateway takes no previews"));
    return;
  }
  const found = core.previews.ask(inputs.preview, exchange.connection.remoteAddress);
  if (!(found instanceof Promise)) {
    go(found);
    return;
  }
  let gone = false;
  exchange.onClientGone = () => void (gone = true);
  found
    .catch((thrown: unknown) => asGatewayError(thrown))
    .then((table) => {
      go(table);
      // Only its begin has made somebody who can be told.
      if (gone) exchange.onClientGone?.();
    })
    .catch((thrown: unknown) => exchange.abort(asGatewayError(thrown)));
}

/** No cache between here and the client may show it to others; and a browser whose cookie is refused is let go. */
export function markPreview({ previewByCookie }: GatewayInputs, error: GatewayError | null, scheme: "http" | "https", fields: Fields): void {
  keepOut(fields);
  if (!previewByCookie || (error?.code !== "PREVIEW_REFUSED" && error?.code !== "PREVIEW_UNKNOWN")) return;
  fields.append("set-cookie", `${PREVIEW_NAME}=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax${scheme === "https" ? "; Secure" : ""}`);
}
