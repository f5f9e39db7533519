-- Where a topic stands now.
-- KEYS[1] the topic's stream
-- KEYS[2] the topic's counter, same {tag}
-- Replies the number of the last message (0: none yet, or all is gone) and the stream's last id.
local last = redis.call("XREVRANGE", KEYS[1], "+", "-", "COUNT", 1)
local id = "0-0"
if last[1] then id = last[1][1] end
return { tonumber(redis.call("GET", KEYS[2]) or "0"), id }
