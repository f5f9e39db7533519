/**
 * Loaded into every test file's process: ends it with a reason when it does not end by itself. The runner's own time-out is
 * for one test; it does not see a file whose tests are over while a socket or child keeps it running.
 */
const FILE_TIMEOUT_MS = 240_000;

if (process.env.NODE_TEST_CONTEXT?.startsWith("child") && process.argv[1]?.includes(".test.")) {
  const deadline = setTimeout(() => {
    const open = process.getActiveResourcesInfo().join(", ");
    process.stderr.write(`${process.argv[1]}: no end after ${FILE_TIMEOUT_MS / 1000} s; still open: ${open}\n`);
    process.exit(1);
  }, FILE_TIMEOUT_MS);
  deadline.unref();
}
