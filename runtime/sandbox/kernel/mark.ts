/**
 * Memory that process and kernel share (a few doubles), so that the process knows what runs in an isolate that it had to
 * stop, without a call per hook: a store costs nanoseconds, a callback 0.8 µs. User code never sees it.
 */
export const Mark = {
  /** The hook call whose code runs or ran last, and its rule. */
  CALL: 0,
  RULE: 1,
  /** CPU bound of that rule in that phase, ms. */
  CPU_MS: 2,
  /** Wall time from the entry's beginning to that of this rule, ms. */
  BEFORE_MS: 3,
  /** CPU that this rule used in earlier entries of the same call, ms. */
  HELD_MS: 4,
  /** Calls of this context that await something. */
  PENDING: 5,
  /** 1: enter again at once, with nothing new: microtasks have run or records are left. */
  AGAIN: 6,
  /** Hook calls and replies that this entry has begun. */
  BEGUN: 7,
  /** 1: the kernel has returned; what runs now are microtasks, and they belong to the mark's call only when BEGUN is 1. */
  RETURNED: 8,
  /** Written by the process. 1: begin one record per entry, so that microtasks tell whose they are. */
  CAREFUL: 9,
} as const;

export const MARK_BYTES = 80;
