-- Writes a line into the story of an experiment.
-- KEYS[1]  the lines, oldest first
-- ARGV[1]  the line; "": none, only read
-- ARGV[2]  lines that are kept
-- Replies the lines.
if ARGV[1] ~= "" then
  redis.call("RPUSH", KEYS[1], ARGV[1])
  redis.call("LTRIM", KEYS[1], -tonumber(ARGV[2]), -1)
end
return redis.call("LRANGE", KEYS[1], 0, -1)
