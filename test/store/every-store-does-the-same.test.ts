import { ManualClock } from "../../runtime/clock.ts";
import { createMemoryStore } from "../../runtime/store/store.ts";
import { storeContract } from "./contract.ts";
import { startEmbedded } from "./embedded.ts";

storeContract(
  "memory",
  async () => {
    const clock = new ManualClock();
    return { open: async () => createMemoryStore({ clock }), pass: async (ms) => clock.advance(ms) };
  },
  { sharedByAll: false },
);

/** The store's process has the system's clock. */
const pass = (ms: number) => new Promise<void>((resolve) => void setTimeout(resolve, ms));

storeContract(
  "embedded",
  async (t) => {
    const { connect } = await startEmbedded(t);
    return { open: async () => connect(), pass };
  },
  { sharedByAll: true },
);
