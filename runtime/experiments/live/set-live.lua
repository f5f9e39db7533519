-- Puts what operators decided in place of what is there, unless somebody was quicker.
-- KEYS[1]  where it stands: "VERSION JSON"
-- ARGV[1]  the version that the change is based on; 0: nothing is there
-- ARGV[2]  the new text, with the next version
-- Replies 1 and the new text, or 0 and what is there ("": nothing).
local there = redis.call("GET", KEYS[1]) or ""
local version = there == "" and "0" or string.match(there, "^%d+")
if version ~= ARGV[1] then return { 0, there } end
redis.call("SET", KEYS[1], ARGV[2])
return { 1, ARGV[2] }
