-- Ends the shadow that is meant, and no other one.
-- KEYS[1] its terms: JSON that begins with its tag
-- ARGV[1] how the JSON of the one that is meant begins
-- Replies 1, or 0 when it is not there any more.
local terms = redis.call("GET", KEYS[1]) or ""
if terms:sub(1, #ARGV[1]) ~= ARGV[1] then return { 0 } end
redis.call("DEL", KEYS[1])
return { 1 }
