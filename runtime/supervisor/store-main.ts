/** Entry of the embedded store's process. It runs only the scripts that are listed here. */
import { runStoreProcess } from "../store/embedded/process.ts";
import { STORE_SCRIPTS } from "./store-scripts.ts";

runStoreProcess(STORE_SCRIPTS);
