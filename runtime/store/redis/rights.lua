-- Does what the store's scripts do, once: a user without a right learns it at the start and not under load.
-- KEYS[1], KEYS[2], KEYS[3] keys of the check alone, same {tag}
-- Replies 1. Errors name the command that is missing (Redis before 6.2 has no GETEX) or not allowed.
redis.call("TIME")
redis.call("SET", KEYS[1], "1", "PX", 1000)
redis.call("GETEX", KEYS[1], "PX", 1000)
redis.call("INCRBY", KEYS[1], 1)
redis.call("PTTL", KEYS[1])
redis.call("HSET", KEYS[2], "f", "v")
redis.call("HMGET", KEYS[2], "f")
redis.call("PEXPIRE", KEYS[2], 1000)
redis.call("ZADD", KEYS[3], 1, "m")
redis.call("ZRANGE", KEYS[3], 0, -1)
redis.call("DEL", KEYS[1], KEYS[2], KEYS[3])
redis.call("XADD", KEYS[1], "MAXLEN", "~", 1, "*", "f", "v")
redis.call("XREVRANGE", KEYS[1], "+", "-", "COUNT", 1)
redis.call("DEL", KEYS[1])
return 1
