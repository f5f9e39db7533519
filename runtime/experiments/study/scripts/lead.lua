-- Takes or renews the lead, unless another holds it.
-- KEYS[1]  the lead
-- ARGV[1]  who takes it
-- ARGV[2]  how long it holds without being renewed (ms)
-- Replies 1 when it is held now, 0 when another holds it.
if redis.call("SET", KEYS[1], ARGV[1], "NX", "PX", ARGV[2]) then
  return { 1 }
end
if redis.call("GET", KEYS[1]) == ARGV[1] then
  redis.call("PEXPIRE", KEYS[1], ARGV[2])
  return { 1 }
end
return { 0 }
