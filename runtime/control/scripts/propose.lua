-- Opens a rollout, unless somebody else's stands or the base is outdated.
-- KEYS[1] head: "EPOCH JSON"
-- KEYS[2] proposal: "NUMBER EXPIRES JSON", EXPIRES in Unix ms
-- KEYS[3] number of the last rollout
-- KEYS[4] hash of the votes
-- ARGV[1] the epoch that the caller saw; 0: none yet
-- ARGV[2] the rollout's JSON
-- ARGV[3] ms after which it is over if nobody has ended it
-- Replies 1 and its number; 0 and head when the base is outdated; -1 and the proposal that stands.
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local head = redis.call("GET", KEYS[1]) or ""
if (head:match("^%d+") or "0") ~= ARGV[1] then return { 0, head } end
local proposal = redis.call("GET", KEYS[2]) or ""
local expires = proposal:match("^%d+ (%d+) ")
if expires and tonumber(expires) > now then return { -1, proposal } end
-- Never one that was given before, also after the counter was lost.
local number = math.max(tonumber(redis.call("GET", KEYS[3]) or "0") + 1, now)
redis.call("SET", KEYS[3], string.format("%d", number))
redis.call("SET", KEYS[2], string.format("%d %d ", number, now + ARGV[3]) .. ARGV[2])
redis.call("DEL", KEYS[4])
return { 1, number }
