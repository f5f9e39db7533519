-- Makes the rollout that stands the new head, if the head is still the one that it is based on. Epochs only grow.
-- KEYS[1] head: "EPOCH JSON"
-- KEYS[2] proposal: "NUMBER EXPIRES JSON"
-- KEYS[3] list of what was head before and is now, newest first: "EPOCH JSON"
-- ARGV[1] number of the rollout
-- ARGV[2] the highest epoch that any gateway has seen
-- ARGV[3] JSON of the new head
-- ARGV[4] how many heads are kept
-- ARGV[5] the epoch that it is based on; 0: none
-- Replies the new epoch; 0 when that rollout does not stand any more; -1 and the head when that is another one by now (a canary's step changes it
-- without asking anybody), and the rollout still stands.
local proposal = redis.call("GET", KEYS[2]) or ""
if proposal:match("^%d+") ~= ARGV[1] then return { 0 } end
local standing = redis.call("GET", KEYS[1]) or ""
local last = standing:match("^%d+") or "0"
if last ~= ARGV[5] then return { -1, standing } end
local epoch = math.max(tonumber(last), tonumber(ARGV[2])) + 1
local head = string.format("%d ", epoch) .. ARGV[3]
redis.call("SET", KEYS[1], head)
redis.call("LPUSH", KEYS[3], head)
redis.call("LTRIM", KEYS[3], 0, ARGV[4] - 1)
redis.call("DEL", KEYS[2])
return { epoch }
