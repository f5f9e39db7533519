-- Deletes a value, at once or only the version that its deleter saw.
-- KEYS[1] "VERSION\nJSON"
-- ARGV[1] 1: only when the version is ARGV[2]; 0: whatever is there
-- ARGV[2] a version
-- Replies 1 when something was deleted, else 0.
local held = redis.call("GET", KEYS[1])
if not held then return { 0 } end
if ARGV[1] == "1" and held:match("^[^\n]*") ~= ARGV[2] then return { 0 } end
return { redis.call("DEL", KEYS[1]) }
