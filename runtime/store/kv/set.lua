-- Stores a value, at once or only over the version that its writer saw.
-- KEYS[1] "VERSION\nJSON"
-- ARGV[1] the new version, never used before
-- ARGV[2] the value, JSON
-- ARGV[3] lifetime in ms; 0: until deleted
-- ARGV[4] 1: only when the version is ARGV[5]; 0: whatever is there
-- ARGV[5] a version; "": nothing is there
-- Replies 1 and the new version, or 0 and the one that is there.
local held = redis.call("GET", KEYS[1])
local version = held and held:match("^[^\n]*") or ""
-- Sent again because its answer was lost: it is done already.
if version == ARGV[1] then return { 1, version } end
if ARGV[4] == "1" and version ~= ARGV[5] then return { 0, version } end
local entry = ARGV[1] .. "\n" .. ARGV[2]
if ARGV[3] == "0" then
  redis.call("SET", KEYS[1], entry)
else
  redis.call("SET", KEYS[1], entry, "PX", ARGV[3])
end
return { 1, ARGV[1] }
