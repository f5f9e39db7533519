-- KEYS[1] list of releases, oldest first: "ID JSON"
-- KEYS[2] list of heads, newest first: "EPOCH JSON"
-- Replies how many releases there are, the releases, the heads.
local reply = redis.call("LRANGE", KEYS[1], 0, -1)
local count = #reply
table.insert(reply, 1, count)
for _, head in ipairs(redis.call("LRANGE", KEYS[2], 0, -1)) do reply[#reply + 1] = head end
return reply
