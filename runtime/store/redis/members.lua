-- "I am still here": who uses this store now. Lives by Redis' clock.
-- KEYS[1] sorted set: "GATEWAY MEMBER", or "GATEWAY -" of one that counts as no member → when it was last here, Unix ms
-- ARGV[1] one's own entry; "" to be told only
-- ARGV[2] ms after which an entry that was not renewed is gone; 0: one leaves
-- Replies the number of gateways and of members.
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[2] == "0" then
  redis.call("ZREM", KEYS[1], ARGV[1])
else
  if ARGV[1] ~= "" then redis.call("ZADD", KEYS[1], now, ARGV[1]) end
  redis.call("ZREMRANGEBYSCORE", KEYS[1], "-inf", now - ARGV[2])
  redis.call("PEXPIRE", KEYS[1], ARGV[2] * 2)
end
local gateways, members, seen = 0, 0, {}
for _, entry in ipairs(redis.call("ZRANGE", KEYS[1], 0, -1)) do
  local gateway, member = entry:match("^(%S+) (%S+)$")
  if gateway and not seen[gateway] then
    seen[gateway] = true
    gateways = gateways + 1
  end
  if member ~= "-" then members = members + 1 end
end
return { gateways, members }
