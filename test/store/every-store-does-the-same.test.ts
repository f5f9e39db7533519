import { after } from "node:test";
import { ManualClock } from "../../runtime/clock.ts";
import { createMemoryStore } from "../../runtime/store/store.ts";
import { storeContract } from "./contract.ts";
import { startEmbedded } from "./embedded.ts";
import { redisWorkers } from "./redis.ts";
import { startRedis } from "./redis-server.ts";

storeContract(
  "memory",
  async () => {
    const clock = new ManualClock();
    return { open: async () => createMemoryStore({ clock }), pass: async (ms) => clock.advance(ms) };
  },
  { sharedByAll: false },
);

/** Processes have the system's clock. */
const pass = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));

storeContract(
  "embedded",
  async (t) => {
    const { connect } = await startEmbedded(t);
    return { open: async () => connect(), pass };
  },
  { sharedByAll: true },
);

const redis = await startRedis();
after(() => redis.stop());

storeContract("redis", async (t) => ({ open: redisWorkers(t, redis.url), pass }), { sharedByAll: true });
