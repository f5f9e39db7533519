-- Decides checks of rate limits, in order, all at one moment of Redis' clock. The arithmetic is that of algorithms.ts and take.ts,
-- operation by operation: same doubles in, same doubles out.
--
-- KEYS[i]  state of one limit's key: numbers as text with blanks between. Timed algorithms: three of their own (ms since 2026-01-01, units,
--          or window numbers), blocked until (ms), strikes (count), last strike (ms). Concurrency: holder (id), held (units), expiry (ms), ...
-- ARGV[1]  id of the worker that asks (integer)
-- ARGV[2]  how long it holds what is in flight without a sign of life (ms)
-- ARGV[3]  number of policies (count); then for each, 7 arguments:
--            algorithm (g, t, f, s, c), limit (units per window), window (ms), capacity (units at once),
--            penalty after (refusals; 0: none), penalty for (ms), shadow (0, 1)
-- then     checks to the end: number of asks (count), and for each ask 4 arguments:
--            key (index in KEYS, from 1), policy (number, from 1), cost (units; 0 only looks), want (units, at least cost)
-- Returns for each ask 4 integers: granted (units; -1 over the limit, -2 penalised), remaining (units), reset (ms), retry (ms).

local OVER, PENALISED = -1, -2
local floor, ceil, max, min = math.floor, math.ceil, math.max, math.min

local time = redis.call("TIME")
local now = (tonumber(time[1]) - 1767225600) * 1000 + tonumber(time[2]) / 1000
local holder, hold = tonumber(ARGV[1]), tonumber(ARGV[2])

local function whole_ms(ms)
  return ceil(ms - 1e-6)
end

local function slack(p)
  return 1e-6 + (1e-5 * p.limit) / p.window
end

local function next_window(s, p)
  local window = floor(now / p.window)
  if window <= s[1] then return false end
  return window
end

local algorithms = {
  g = {
    roll = function(s) if s[1] < now then s[1] = now end end,
    available = function(s, p) return floor(p.capacity - ((s[1] - now) * p.limit) / p.window + slack(p)) end,
    take = function(s, p, units) s[1] = s[1] + (units * p.window) / p.limit end,
    reset = function(s) return s[1] - now end,
    wait = function(s, p, units) return s[1] - now - ((p.capacity - units) * p.window) / p.limit end,
  },
  t = {
    roll = function(s, p)
      if now <= s[2] then return end
      s[1] = max(0, s[1] - ((now - s[2]) * p.limit) / p.window)
      s[2] = now
    end,
    available = function(s, p) return floor(p.capacity - s[1] + slack(p)) end,
    take = function(s, p, units) s[1] = s[1] + units end,
    reset = function(s, p) return (s[1] * p.window) / p.limit end,
    wait = function(s, p, units) return ((s[1] + units - p.capacity) * p.window) / p.limit end,
  },
  f = {
    roll = function(s, p)
      local window = next_window(s, p)
      if window then s[1], s[2] = window, 0 end
    end,
    available = function(s, p) return p.capacity - s[2] end,
    take = function(s, p, units) s[2] = s[2] + units end,
    reset = function(s, p) if s[2] == 0 then return 0 end return (s[1] + 1) * p.window - now end,
    wait = function(s, p) return (s[1] + 1) * p.window - now end,
  },
  s = {
    roll = function(s, p)
      local window = next_window(s, p)
      if not window then return end
      if window == s[1] + 1 then s[3] = s[2] else s[3] = 0 end
      s[1], s[2] = window, 0
    end,
    available = function(s, p)
      local covered = min(1, max(0, 1 - (now - s[1] * p.window) / p.window))
      return floor(p.capacity - s[3] * covered - s[2] + slack(p))
    end,
    take = function(s, p, units) s[2] = s[2] + units end,
    reset = function(s, p)
      if s[2] > 0 then return (s[1] + 2) * p.window - now end
      if s[3] > 0 then return (s[1] + 1) * p.window - now end
      return 0
    end,
    wait = function(s, p, units)
      local room = p.capacity - units
      if s[2] <= room then return (s[1] + 1 - (room - s[2]) / s[3]) * p.window - now end
      return (s[1] + 2 - room / s[2]) * p.window - now
    end,
  },
  c = {
    roll = function(s)
      for i = #s - 2, 1, -3 do
        if s[i + 2] <= now then for _ = 1, 3 do table.remove(s, i) end end
      end
    end,
    available = function(s, p)
      local sum = 0
      for i = 2, #s, 3 do sum = sum + s[i] end
      return p.capacity - sum
    end,
    take = function(s, p, units)
      for i = 1, #s, 3 do
        if s[i] == holder then
          s[i + 1], s[i + 2] = s[i + 1] + units, now + hold
          return
        end
      end
      s[#s + 1], s[#s + 2], s[#s + 3] = holder, units, now + hold
    end,
    reset = function() return 0 end,
    wait = function() return 1000 end,
  },
}

local policies = {}
local at = 4
for i = 1, tonumber(ARGV[3]) do
  policies[i] = {
    algorithm = algorithms[ARGV[at]], timed = ARGV[at] ~= "c",
    limit = tonumber(ARGV[at + 1]), window = tonumber(ARGV[at + 2]), capacity = tonumber(ARGV[at + 3]),
    after = tonumber(ARGV[at + 4]), block = tonumber(ARGV[at + 5]), shadow = ARGV[at + 6] == "1",
  }
  at = at + 7
end

-- What was read or changed by an earlier check of this call. Written once, at the end.
local states, lifetimes = {}, {}

local function state_of(index, p)
  local s = states[index]
  if s then return s end
  s = {}
  local text = redis.call("GET", KEYS[index])
  if text then for number in string.gmatch(text, "%S+") do s[#s + 1] = tonumber(number) end end
  if p.timed then for i = #s + 1, 6 do s[i] = 0 end end
  states[index] = s
  return s
end

local function strike(s, p)
  local strikes = s[5] + 1
  if now - s[6] >= p.window then strikes = 1 end
  s[6] = now
  if strikes < p.after then
    s[5] = strikes
    return OVER
  end
  s[5], s[4] = 0, now + p.block
  return PENALISED
end

local function lifetime(s, p)
  if not p.timed then
    local last = 0
    for i = 3, #s, 3 do last = max(last, s[i]) end
    return last - now
  end
  local timed = p.algorithm.reset(s, p)
  if p.after == 0 then return timed end
  local striking = 0
  if s[5] > 0 then striking = s[6] + p.window - now end
  return max(timed, s[4] - now, striking)
end

local reply = {}
while at <= #ARGV do
  local count = tonumber(ARGV[at])
  local asks, refused = {}, false
  for i = 1, count do
    local from = at + 1 + (i - 1) * 4
    local p = policies[tonumber(ARGV[from + 1])]
    local ask = { index = tonumber(ARGV[from]), policy = p, cost = tonumber(ARGV[from + 2]) }
    local s = state_of(ask.index, p)
    p.algorithm.roll(s, p)
    if p.after > 0 and now < s[4] then ask.code = PENALISED
    elseif ask.cost == 0 then ask.code = 0
    else
      local units = p.algorithm.available(s, p)
      if units < ask.cost then ask.code = OVER else ask.code = min(units, tonumber(ARGV[from + 3])) end
    end
    if ask.code < 0 and not p.shadow then refused = true end
    ask.state = s
    asks[i] = ask
  end
  at = at + 1 + count * 4

  for i = 1, count do
    local ask = asks[i]
    local s, p, code = ask.state, ask.policy, ask.code
    local changed = false
    if code > 0 and not refused then
      p.algorithm.take(s, p, code)
      changed = true
    end
    if code == OVER and p.after > 0 then
      code = strike(s, p)
      changed = true
    end
    if changed then lifetimes[ask.index] = max(1, whole_ms(lifetime(s, p))) end

    local remaining, reset, retry = 0, p.algorithm.reset(s, p), 0
    if p.after > 0 and now < s[4] then reset = max(reset, s[4] - now) end
    if code == PENALISED then retry = whole_ms(s[4] - now)
    else
      remaining = max(0, p.algorithm.available(s, p))
      if code == OVER then retry = max(1, whole_ms(p.algorithm.wait(s, p, ask.cost))) end
    end
    local n = #reply
    reply[n + 1], reply[n + 2], reply[n + 3], reply[n + 4] = code, remaining, whole_ms(reset), retry
  end
end

for index, ttl in pairs(lifetimes) do
  local s = states[index]
  local texts = {}
  for i = 1, #s do texts[i] = string.format("%.17g", s[i]) end
  redis.call("SET", KEYS[index], table.concat(texts, " "), "PX", string.format("%.0f", ttl))
end
return reply
