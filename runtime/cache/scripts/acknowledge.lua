-- Counts the workers that have carried out a purge.
-- KEYS[1]  the count
-- ARGV[1]  1: one more; 0: only look
-- ARGV[2]  how long the count is kept (ms)
-- Replies the count.
if ARGV[1] == "0" then
  return { tonumber(redis.call("GET", KEYS[1]) or "0") }
end
local count = redis.call("INCR", KEYS[1])
redis.call("PEXPIRE", KEYS[1], ARGV[2])
return { count }
