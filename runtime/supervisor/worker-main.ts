/** Entry of a worker process. */
import { startWorker } from "../proxy/worker.ts";
import { runWorker } from "./worker-loop.ts";

runWorker(startWorker);
