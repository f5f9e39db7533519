/** A store process that knows the tests' scripts and those of kv. */
import { runStoreProcess } from "../../runtime/store/embedded/process.ts";
import { KV_SCRIPTS } from "../../runtime/store/kv/scripts.ts";
import { TEST_SCRIPTS } from "./scripts.ts";

runStoreProcess([...TEST_SCRIPTS, ...KV_SCRIPTS]);
