-- A gateway that has seen a higher epoch than the store knows puts it back: the store was emptied, or is an old copy.
-- KEYS[1] head: "EPOCH JSON"
-- KEYS[2] list of heads, newest first
-- ARGV[1] the epoch
-- ARGV[2] JSON of that head
-- ARGV[3] how many heads are kept
-- Replies 1, or 0 when the store knows as much.
local last = tonumber((redis.call("GET", KEYS[1]) or ""):match("^%d+") or "0")
if last >= tonumber(ARGV[1]) then return { 0 } end
local head = ARGV[1] .. " " .. ARGV[2]
redis.call("SET", KEYS[1], head)
redis.call("LPUSH", KEYS[2], head)
redis.call("LTRIM", KEYS[2], 0, ARGV[3] - 1)
return { 1 }
