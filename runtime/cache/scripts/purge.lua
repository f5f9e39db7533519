-- Numbers a purge and writes it into the log. Numbers grow, also when the store was flushed: they are not below the clock's milliseconds.
-- KEYS[1]  number of the last purge
-- KEYS[2]  the log: "number text", oldest first
-- KEYS[3]  number of the newest purge that the log has dropped
-- ARGV[1]  the purge as text
-- ARGV[2]  entries that the log keeps
-- Replies its number and that of the purge before.
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = tonumber(redis.call("GET", KEYS[1]) or "0")
local number = math.max(last + 1, now)
redis.call("SET", KEYS[1], string.format("%.0f", number))
redis.call("RPUSH", KEYS[2], string.format("%.0f", number) .. " " .. ARGV[1])
while redis.call("LLEN", KEYS[2]) > tonumber(ARGV[2]) do
  local dropped = redis.call("LPOP", KEYS[2])
  redis.call("SET", KEYS[3], string.match(dropped, "^%d+"))
end
return { number, last }
