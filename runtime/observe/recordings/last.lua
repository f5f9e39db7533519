-- KEYS[1] list of recordings, oldest first
-- ARGV[1] how many
-- Replies the newest of them, oldest first.
return redis.call("LRANGE", KEYS[1], -tonumber(ARGV[1]), -1)
