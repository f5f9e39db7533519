-- Gives back what was in flight, or says anew what a worker holds (a sign of life; also heals counts that were lost).
--
-- KEYS[i]      state of one key with algorithm concurrency: holder (id), held (units), expiry (ms since 2026-01-01), ...
-- ARGV[1]      id of the worker (integer)
-- ARGV[2]      how long it holds without a sign of life (ms)
-- ARGV[1+2i]   for KEYS[i]: "add" or "set"
-- ARGV[2+2i]   for KEYS[i]: units to add (negative: given back), or held in all
-- Returns for each key what all workers hold together (units).

local time = redis.call("TIME")
local now = (tonumber(time[1]) - 1767225600) * 1000 + tonumber(time[2]) / 1000
local holder, expiry = tonumber(ARGV[1]), now + tonumber(ARGV[2])
local reply = {}
for k = 1, #KEYS do
  local kept, own, sum, last = {}, 0, 0, 0
  local text = redis.call("GET", KEYS[k])
  if text then
    for id, held, until_ms in string.gmatch(text, "(%S+) (%S+) (%S+)") do
      if tonumber(until_ms) > now then
        if tonumber(id) == holder then own = tonumber(held)
        else
          kept[#kept + 1] = id .. " " .. held .. " " .. until_ms
          sum, last = sum + tonumber(held), math.max(last, tonumber(until_ms))
        end
      end
    end
  end
  local units = tonumber(ARGV[2 + 2 * k])
  if ARGV[1 + 2 * k] == "add" then units = units + own end
  if units > 0 then
    kept[#kept + 1] = string.format("%.17g %.17g %.17g", holder, units, expiry)
    sum, last = sum + units, math.max(last, expiry)
  end
  if #kept == 0 then redis.call("DEL", KEYS[k])
  else redis.call("SET", KEYS[k], table.concat(kept, " "), "PX", string.format("%.0f", math.max(1, math.ceil(last - now)))) end
  reply[k] = sum
end
return reply
