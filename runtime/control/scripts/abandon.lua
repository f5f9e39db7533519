-- Ends the rollout that stands; nothing has changed.
-- KEYS[1] proposal: "NUMBER EXPIRES JSON"
-- ARGV[1] number of the rollout
-- Replies 1, or 0 when that rollout does not stand any more.
local proposal = redis.call("GET", KEYS[1]) or ""
if proposal:match("^%d+") ~= ARGV[1] then return { 0 } end
redis.call("DEL", KEYS[1])
return { 1 }
