-- Agrees on one value: the first that was proposed stands until it is deleted.
-- KEYS[1]  where it stands
-- ARGV[1]  a proposal
-- Replies the value.
redis.call("SET", KEYS[1], ARGV[1], "NX")
return { redis.call("GET", KEYS[1]) }
