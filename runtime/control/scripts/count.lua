-- A gateway tells what it counted of the canary, and learns whether it is the one that decides.
-- KEYS[1] hash of the counts: gateway → "EXPIRES JSON"
-- KEYS[2] who decides: "EXPIRES NAME", EXPIRES in Unix ms
-- ARGV[1] the gateway's name
-- ARGV[2] its JSON
-- ARGV[3] ms for which what it tells counts as new
-- ARGV[4] ms for which whoever decides need not say so again
-- ARGV[5] ms after which what a gateway told is forgotten
-- Replies now (Unix ms), 1 for the one that decides or 0, and to that one: gateway and "EXPIRES JSON" of each.
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call("HSET", KEYS[1], ARGV[1], string.format("%d ", now + ARGV[3]) .. ARGV[2])
local expires, leader = (redis.call("GET", KEYS[2]) or ""):match("^(%d+) (.*)$")
if leader ~= ARGV[1] and expires and tonumber(expires) > now then return { now, 0 } end
redis.call("SET", KEYS[2], string.format("%d ", now + ARGV[4]) .. ARGV[1])
local reply = { now, 1 }
local counts = redis.call("HGETALL", KEYS[1])
for i = 1, #counts, 2 do
  if tonumber(counts[i + 1]:match("^%d+")) + ARGV[5] < now then
    redis.call("HDEL", KEYS[1], counts[i])
  else
    reply[#reply + 1] = counts[i]
    reply[#reply + 1] = counts[i + 1]
  end
end
return reply
