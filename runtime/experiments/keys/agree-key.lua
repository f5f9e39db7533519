-- Agrees on one key: the first that was proposed.
-- KEYS[1]  where it stands
-- ARGV[1]  a proposal, hex
-- Replies the key.
redis.call("SET", KEYS[1], ARGV[1], "NX")
return { redis.call("GET", KEYS[1]) }
