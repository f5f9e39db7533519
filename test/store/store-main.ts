/** A store process that knows the tests' scripts. */
import { runStoreProcess } from "../../runtime/store/embedded/process.ts";
import { TEST_SCRIPTS } from "./scripts.ts";

runStoreProcess(TEST_SCRIPTS);
