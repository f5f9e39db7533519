-- Puts something in the place of the shadow that is meant, and of no other one: that it has ended, or itself where the store has lost it.
-- KEYS[1] what stands: JSON that begins with a tag; nothing: none ever was, or the store has lost it
-- ARGV[1] how the JSON of the one that is meant begins; "": nothing
-- ARGV[2] what is to stand there
-- Replies 1, or 0 when something else stands.
local standing = redis.call("GET", KEYS[1]) or ""
if ARGV[1] == "" and standing ~= "" then return { 0 } end
if standing:sub(1, #ARGV[1]) ~= ARGV[1] then return { 0 } end
redis.call("SET", KEYS[1], ARGV[2])
return { 1 }
