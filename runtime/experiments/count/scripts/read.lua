-- Reads the counts of one experiment's version.
-- KEYS[1]  the counts
-- Replies names and numbers, one after the other; numbers as text, for values have fractions.
return redis.call("HGETALL", KEYS[1])
