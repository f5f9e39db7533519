-- Adds recorded requests to those of one stretch of time; the oldest give way.
-- KEYS[1] list of recordings, oldest first
-- ARGV[1] Unix ms at which all of them end
-- ARGV[2] how many are kept
-- ARGV[3…] recordings, JSON
-- Replies how many there are.
for i = 3, #ARGV do redis.call("RPUSH", KEYS[1], ARGV[i]) end
redis.call("LTRIM", KEYS[1], -tonumber(ARGV[2]), -1)
redis.call("PEXPIREAT", KEYS[1], ARGV[1])
return { redis.call("LLEN", KEYS[1]) }
