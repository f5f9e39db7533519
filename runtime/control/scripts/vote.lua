-- What a gateway says to the rollout that stands.
-- KEYS[1] proposal: "NUMBER EXPIRES JSON"
-- KEYS[2] hash of the votes: gateway → text
-- ARGV[1] number of the rollout
-- ARGV[2] the gateway
-- ARGV[3] its vote
-- Replies 1, or 0 when that rollout does not stand any more.
local proposal = redis.call("GET", KEYS[1]) or ""
if proposal:match("^%d+") ~= ARGV[1] then return { 0 } end
redis.call("HSET", KEYS[2], ARGV[2], ARGV[3])
return { 1 }
