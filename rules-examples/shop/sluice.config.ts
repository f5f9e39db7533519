import { defineConfig } from "sluice";
import type { Duration } from "sluice";

/** The demo sets these when it is asked for other ports; by hand nothing needs to be set but SHOP_JWT_KEY. */
const { SHOP_TARGETS, SHOP_PORT, SHOP_ADMIN_PORT, SHOP_STATE_DIR, SHOP_FIRST_BYTE } = process.env;

export default defineConfig({
  listeners: [{ host: "127.0.0.1", port: Number(SHOP_PORT ?? 8080) }],
  workers: 2,
  upstreams: {
    shop: {
      targets: (SHOP_TARGETS ?? "http://127.0.0.1:9001,http://127.0.0.1:9002,http://127.0.0.1:9003").split(","),
      // Short, so that /fail/hang shows its time-out while somebody still looks.
      timeouts: { connect: "1s", firstByte: (SHOP_FIRST_BYTE ?? "10s") as Duration, idle: "60s" },
    },
  },
  rules: "./rules",
  secrets: { jwtKey: { env: "SHOP_JWT_KEY" } },
  stateDir: SHOP_STATE_DIR ?? "./.sluice",
  log: { access: "errors" },
  admin: { host: "127.0.0.1", port: Number(SHOP_ADMIN_PORT ?? 9901) },
});
