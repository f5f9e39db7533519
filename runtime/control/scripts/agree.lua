-- What the gateways agree upon once: the first one's word stands.
-- KEYS[1] where it stands
-- ARGV[1] what this gateway would have
-- Replies what stands.
redis.call("SET", KEYS[1], ARGV[1], "NX")
return { redis.call("GET", KEYS[1]) }
