-- Takes the lock, unless another holds it; whoever holds it takes it anew.
-- KEYS[1]  the lock
-- ARGV[1]  who takes it
-- ARGV[2]  how long it holds at most, unless it is taken anew (ms)
-- Replies 1 when it is held now by whoever asked, 0 when by another.
if redis.call("SET", KEYS[1], ARGV[1], "NX", "PX", ARGV[2]) then
  return { 1 }
end
if redis.call("GET", KEYS[1]) == ARGV[1] then
  redis.call("PEXPIRE", KEYS[1], ARGV[2])
  return { 1 }
end
return { 0 }
