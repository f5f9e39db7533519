-- "I am here, and this is how far I am": a gateway's heartbeat, answered with what it must know.
-- KEYS[1] head: "EPOCH JSON", the release that is to serve
-- KEYS[2] proposal: "NUMBER EXPIRES JSON", EXPIRES in Unix ms
-- KEYS[3] hash of the gateways: name → "EXPIRES JSON"
-- ARGV[1] the gateway's name; "": only to be told
-- ARGV[2] its JSON
-- ARGV[3] ms after which it counts as away; 0: it leaves
-- ARGV[4] ms after which one that is away is forgotten
-- Replies now (Unix ms), head or "", the proposal unless it has expired or "", then name and "EXPIRES JSON" of each gateway.
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if ARGV[1] ~= "" then
  if ARGV[3] == "0" then
    redis.call("HDEL", KEYS[3], ARGV[1])
  else
    redis.call("HSET", KEYS[3], ARGV[1], string.format("%d", now + ARGV[3]) .. " " .. ARGV[2])
  end
end
local proposal = redis.call("GET", KEYS[2]) or ""
local expires = proposal:match("^%d+ (%d+) ")
if not expires or tonumber(expires) <= now then proposal = "" end
local reply = { now, redis.call("GET", KEYS[1]) or "", proposal }
local gateways = redis.call("HGETALL", KEYS[3])
for i = 1, #gateways, 2 do
  if tonumber(gateways[i + 1]:match("^%d+")) + ARGV[4] < now then
    redis.call("HDEL", KEYS[3], gateways[i])
  else
    reply[#reply + 1] = gateways[i]
    reply[#reply + 1] = gateways[i + 1]
  end
end
return reply
