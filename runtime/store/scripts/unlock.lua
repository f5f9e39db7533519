-- Gives a lock back, when it is still held by whoever took it.
-- KEYS[1]  the lock
-- ARGV[1]  who took it
-- Replies 1 when it was given back, 0 when it had passed to another.
if redis.call("GET", KEYS[1]) == ARGV[1] then
  redis.call("DEL", KEYS[1])
  return { 1 }
end
return { 0 }
