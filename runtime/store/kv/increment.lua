-- Adds to a whole number; one that is not there counts as 0.
-- KEYS[1] "VERSION\nJSON"
-- ARGV[1] the new version, never used before
-- ARGV[2] what is added, a whole number
-- ARGV[3] lifetime in ms of one that was not there; 0: until deleted. One that was there keeps its own.
-- Replies the sum, as text; "" when what is there is no whole number, or the sum is above 2^53 - 1.
local held = redis.call("GET", KEYS[1])
if not held then
  local entry = ARGV[1] .. "\n" .. ARGV[2]
  if ARGV[3] == "0" then
    redis.call("SET", KEYS[1], entry)
  else
    redis.call("SET", KEYS[1], entry, "PX", ARGV[3])
  end
  return { ARGV[2] }
end
local version, json = held:match("^([^\n]*)\n(.*)$")
if not json:match("^%-?%d+$") then return { "" } end
-- Sent again because its answer was lost: it is done already.
if version == ARGV[1] then return { json } end
local sum = tonumber(json) + tonumber(ARGV[2])
if math.abs(sum) > 9007199254740991 then return { "" } end
local text = string.format("%.0f", sum)
redis.call("SET", KEYS[1], ARGV[1] .. "\n" .. text, "KEEPTTL")
return { text }
