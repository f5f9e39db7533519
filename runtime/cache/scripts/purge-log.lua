-- Reads the log of purges.
-- KEYS     as in purge.lua
-- Replies the number of the last purge, that of the newest dropped one (0 for none), and the log's entries.
local reply = { tonumber(redis.call("GET", KEYS[1]) or "0"), tonumber(redis.call("GET", KEYS[3]) or "0") }
for _, entry in ipairs(redis.call("LRANGE", KEYS[2], 0, -1)) do
  reply[#reply + 1] = entry
end
return reply
