-- Makes the rollout that stands the new head. Epochs only grow.
-- KEYS[1] head: "EPOCH JSON"
-- KEYS[2] proposal: "NUMBER EXPIRES JSON"
-- KEYS[3] list of what was head before and is now, newest first: "EPOCH JSON"
-- ARGV[1] number of the rollout
-- ARGV[2] the highest epoch that any gateway has seen
-- ARGV[3] JSON of the new head
-- ARGV[4] how many heads are kept
-- Replies the new epoch, or 0 when that rollout does not stand any more.
local proposal = redis.call("GET", KEYS[2]) or ""
if proposal:match("^%d+") ~= ARGV[1] then return { 0 } end
local last = tonumber((redis.call("GET", KEYS[1]) or ""):match("^%d+") or "0")
local epoch = math.max(last, tonumber(ARGV[2])) + 1
local head = string.format("%d ", epoch) .. ARGV[3]
redis.call("SET", KEYS[1], head)
redis.call("LPUSH", KEYS[3], head)
redis.call("LTRIM", KEYS[3], 0, ARGV[4] - 1)
redis.call("DEL", KEYS[2])
return { epoch }
