-- Changes the head without asking anybody first: a canary's next step, its promotion, its end. Only from the head that the caller saw.
-- KEYS[1] head: "EPOCH JSON"
-- KEYS[2] list of what was head before and is now, newest first: "EPOCH JSON"
-- KEYS[3] number of the last rollout
-- ARGV[1] the epoch that the caller saw
-- ARGV[2] JSON of the new head, an object with members; the number is put in
-- ARGV[3] how many heads are kept
-- Replies the new epoch and the rollout's number; or 0 and the head that stands.
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local head = redis.call("GET", KEYS[1]) or ""
if (head:match("^%d+") or "0") ~= ARGV[1] then return { 0, head } end
local number = math.max(tonumber(redis.call("GET", KEYS[3]) or "0") + 1, now)
redis.call("SET", KEYS[3], string.format("%d", number))
local epoch = tonumber(ARGV[1]) + 1
head = string.format('%d {"rollout":%d,', epoch, number) .. ARGV[2]:sub(2)
redis.call("SET", KEYS[1], head)
redis.call("LPUSH", KEYS[2], head)
redis.call("LTRIM", KEYS[2], 0, ARGV[3] - 1)
return { epoch, number }
