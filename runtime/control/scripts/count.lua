-- A gateway tells what it counted of the canary; the one that judges reads what all told.
-- KEYS[1] hash of the counts: gateway → "EXPIRES JSON"
-- ARGV[1] the gateway's name
-- ARGV[2] its JSON
-- ARGV[3] ms for which what it tells counts as new
-- ARGV[4] ms after which what a gateway told is forgotten; 0: nothing is read
-- Replies now (Unix ms), then, when it is read, gateway and "EXPIRES JSON" of each.
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call("HSET", KEYS[1], ARGV[1], string.format("%d ", now + ARGV[3]) .. ARGV[2])
local reply = { now }
if tonumber(ARGV[4]) == 0 then return reply end
local counts = redis.call("HGETALL", KEYS[1])
for i = 1, #counts, 2 do
  if tonumber(counts[i + 1]:match("^%d+")) + ARGV[4] < now then
    redis.call("HDEL", KEYS[1], counts[i])
  else
    reply[#reply + 1] = counts[i]
    reply[#reply + 1] = counts[i + 1]
  end
end
return reply
