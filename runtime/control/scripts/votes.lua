-- KEYS[1] hash of the votes: gateway → text
-- Replies gateway and vote of each.
return redis.call("HGETALL", KEYS[1])
