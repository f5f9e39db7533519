/** Program of `fleet-of-100.ts`: some light gateways in a process of their own, to be killed. `REDIS COUNT NAME` */
import { startLightGateway } from "./light-gateway.ts";

const [redis = "", count = "0", name = ""] = process.argv.slice(2);
process.on("disconnect", () => process.exit());
await Promise.all(Array.from({ length: Number(count) }, (_, i) => startLightGateway(`${name}-${i}`, redis)));
process.send!("started");
