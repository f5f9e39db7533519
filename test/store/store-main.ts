/** A store process that knows the tests' scripts and those of the store's own room. */
import { runStoreProcess } from "../../runtime/store/embedded/process.ts";
import { KV_SCRIPTS } from "../../runtime/store/kv/scripts.ts";
import { COMMON_SCRIPTS } from "../../runtime/store/scripts/scripts.ts";
import { TEST_SCRIPTS } from "./scripts.ts";

runStoreProcess([...TEST_SCRIPTS, ...COMMON_SCRIPTS, ...KV_SCRIPTS]);
