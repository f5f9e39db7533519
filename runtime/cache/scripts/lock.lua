-- Takes the lock on one fetch, unless another holds it; whoever takes it again holds it anew.
-- KEYS[1]  the lock
-- ARGV[1]  who takes it
-- ARGV[2]  how long it holds at most (ms)
-- Replies 1 when it was taken, 0 when not.
if redis.call("SET", KEYS[1], ARGV[1], "NX", "PX", ARGV[2]) then
  return { 1 }
end
if redis.call("GET", KEYS[1]) == ARGV[1] then
  redis.call("PEXPIRE", KEYS[1], ARGV[2])
  return { 1 }
end
return { 0 }
