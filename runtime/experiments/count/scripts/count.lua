-- Counts a batch of events of one worker, each once: what a worker sends again is known by its number. The same as unit-entry.ts and past.ts.
-- KEYS[1]  counts: a hash of names and numbers
-- KEYS[2]  how far this worker has come: "number lostExposures lostGoals lostErrors"
-- KEYS[3…] buckets of units: hashes of unit and entry
-- ARGV[1]  most units
-- ARGV[2]  how long all of it is kept after the last change (ms)
-- ARGV[3]  how long a goal waits for its exposure (ms)
-- ARGV[4]  exposures that this worker has lost so far, ARGV[5] goals, ARGV[6] errors
-- ARGV[7…] events, by number: "number bucket unit event…", bucket as the index of a key after KEYS[2]
-- Replies how many events were new.
local time = redis.call("TIME")
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local most, life, wait = tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3])
local ERROR, CROSSED, MOST_WAITING, MOST_IDS, REPEAT_MS, PARTS = 1, 2, 16, 8, 60000, 16

local counts = {}
local function add(name, by)
  counts[name] = (counts[name] or 0) + by
end

local function split(text, at)
  local parts = {}
  for part in string.gmatch(text .. at, "([^" .. at .. "]*)" .. at) do
    parts[#parts + 1] = part
  end
  return parts
end

local function readSeen(ids)
  local seen = {}
  for j = 2, #ids do
    local id, at = string.match(ids[j], "^(.*)@(.*)$")
    seen[j - 1] = { id = id, at = tonumber(at) }
  end
  return seen
end

local function readPast(text)
  local ids = split(text, ";")
  local words = split(ids[1], " ")
  local past = { pre = tonumber(words[1]), x = tonumber(words[2]), parts = {}, seen = readSeen(ids) }
  for i = 3, #words do
    local last, sum = string.match(words[i], "^(.*):(.*)$")
    past.parts[i - 2] = { last = tonumber(last), sum = tonumber(sum) }
  end
  return past
end

local function read(text)
  local parts = split(text, "|")
  local head = split(parts[1], " ")
  local entry = {
    variant = tonumber(head[1]), exposed = tonumber(head[2]), flags = tonumber(head[3]), latency = tonumber(head[4]), added = tonumber(head[5]),
    goals = {}, pasts = {}, waiting = {},
  }
  for i = 2, #parts do
    local first = string.sub(parts[i], 1, 1)
    if first == "?" then
      entry.waiting[#entry.waiting + 1] = string.sub(parts[i], 2)
    else
      local name, state = string.match(parts[i], "^<?([^=]*)=(.*)$")
      if first == "<" then
        entry.pasts[name] = readPast(state)
      elseif state == "1!" then
        entry.goals[name] = { seen = {} }
      else
        local ids = split(state, ";")
        entry.goals[name] = { sum = tonumber(ids[1]), seen = readSeen(ids) }
      end
    end
  end
  return entry
end

local function whole(number)
  return string.format("%.0f", number)
end

local function exact(number)
  return string.format("%.17g", number)
end

local function seenText(seen)
  local text = ""
  for _, one in ipairs(seen) do
    text = text .. ";" .. one.id .. "@" .. whole(one.at)
  end
  return text
end

local function namesIn(map)
  local names = {}
  for name in pairs(map) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

local function write(entry)
  local parts = { whole(entry.variant) .. " " .. whole(entry.exposed) .. " " .. whole(entry.flags) .. " " .. whole(entry.latency) .. " " .. whole(entry.added) }
  for _, name in ipairs(namesIn(entry.goals)) do
    local goal = entry.goals[name]
    parts[#parts + 1] = goal.sum == nil and name .. "=1!" or name .. "=" .. exact(goal.sum) .. seenText(goal.seen)
  end
  for _, name in ipairs(namesIn(entry.pasts)) do
    local past = entry.pasts[name]
    local text = "<" .. name .. "=" .. whole(past.pre) .. " " .. exact(past.x)
    for _, part in ipairs(past.parts) do
      text = text .. " " .. whole(part.last) .. ":" .. exact(part.sum)
    end
    parts[#parts + 1] = text .. seenText(past.seen)
  end
  for _, event in ipairs(entry.waiting) do
    parts[#parts + 1] = "?" .. event
  end
  return table.concat(parts, "|")
end

local function has(flags, flag)
  return math.floor(flags / flag) % 2 == 1
end

local function fail(entry)
  if not has(entry.flags, ERROR) then
    add("errors:" .. whole(entry.variant), 1)
    entry.flags = entry.flags + ERROR
  end
end

local function remember(seen, at, id)
  if id ~= "-" then
    seen[#seen + 1] = { id = id, at = at }
  end
  while #seen > MOST_IDS do
    table.remove(seen, 1)
  end
end

local function isRepeated(seen, event)
  for _, one in ipairs(seen) do
    if one.id == event.once or (one.id == event.again and math.abs(event.at - one.at) <= REPEAT_MS) then
      return true
    end
  end
  return false
end

local function rememberRepeated(seen, event)
  for _, one in ipairs(seen) do
    if one.id == event.once then
      return
    end
  end
  remember(seen, event.at, event.once)
end

local function rememberBoth(seen, event)
  remember(seen, event.at, event.once)
  remember(seen, event.at, (string.gsub(event.again, "~", "")))
end

local function valueOf(text)
  local words = split(text, " ")
  return {
    name = words[2], at = tonumber(words[3]), window = tonumber(words[4]), value = tonumber(words[5]), once = words[6], again = words[7],
    pre = tonumber(words[8] or "0"),
  }
end

-- Is it a value with a pre-period? Told without taking it apart, for every event is asked.
local function isPast(text)
  return string.find(text, "^v %S+ %S+ %S+ %S+ %S+ %S+ [1-9]") ~= nil
end

local function pastOf(text)
  return isPast(text) and valueOf(text) or nil
end

local function fold(past, at, value)
  local length = past.pre / PARTS
  local number = math.floor(at / length)
  for _, part in ipairs(past.parts) do
    if math.floor(part.last / length) == number then
      part.last = math.max(part.last, at)
      part.sum = part.sum + value
      return
    end
  end
  past.parts[#past.parts + 1] = { last = at, sum = value }
  if #past.parts <= PARTS then
    return
  end
  local oldest = 1
  for i = 2, #past.parts do
    if past.parts[i].last < past.parts[oldest].last then
      oldest = i
    end
  end
  table.remove(past.parts, oldest)
end

local function collapse(past, exposed)
  local length, sum = past.pre / PARTS, 0
  for _, part in ipairs(past.parts) do
    if part.last < exposed and exposed - math.floor(part.last / length) * length <= past.pre then
      sum = sum + part.sum
    end
  end
  past.parts = {}
  return sum
end

local function addPast(entry, name, by)
  if by == 0 then
    return
  end
  local past = entry.pasts[name]
  local place = whole(entry.variant) .. ":" .. name
  local x = past.x + by
  add("x:" .. place, by)
  add("xx:" .. place, x * x - past.x * past.x)
  local y = entry.goals[name] and entry.goals[name].sum or 0
  if y ~= 0 then
    add("xy:" .. place, by * y)
  end
  past.x = x
end

local function addValue(entry, name, value)
  local place = whole(entry.variant) .. ":" .. name
  if entry.goals[name] == nil then
    add("goal:" .. place, 1)
  end
  local goal = entry.goals[name]
  if goal == nil or goal.sum == nil then
    goal = { sum = 0, seen = {} }
  end
  entry.goals[name] = goal
  local sum = goal.sum + value
  add("events:" .. place, 1)
  add("sum:" .. place, value)
  add("squares:" .. place, sum * sum - goal.sum * goal.sum)
  local x = entry.pasts[name] and entry.pasts[name].x or 0
  if x ~= 0 then
    add("xy:" .. place, x * value)
  end
  goal.sum = sum
  return goal.seen
end

local function reach(entry, event)
  local past = entry.pasts[event.name] and entry.pasts[event.name].seen or {}
  local goal = entry.goals[event.name]
  local own = goal and goal.sum and goal.seen or past
  if isRepeated(own, event) or isRepeated(past, event) then
    rememberRepeated(own, event)
    add("repeated", 1)
    return
  end
  rememberBoth(addValue(entry, event.name, event.value), event)
end

-- False: it was told already.
local function takesIn(entry, event)
  local past = entry.pasts[event.name] or { x = 0, parts = {}, seen = {} }
  entry.pasts[event.name] = past
  past.pre = event.pre
  local goal = entry.goals[event.name]
  if isRepeated(past.seen, event) or isRepeated(goal and goal.seen or {}, event) then
    rememberRepeated(past.seen, event)
    add("repeated", 1)
    return false
  end
  rememberBoth(past.seen, event)
  if entry.variant >= 0 and entry.exposed - event.at <= event.pre then
    addPast(entry, event.name, event.value)
  end
  return true
end

local function isWithin(entry, at, window)
  if window < 0 then
    return false
  end
  if at - entry.exposed > window then
    add("late", 1)
  end
  return at - entry.exposed <= window
end

-- False: it lies before the exposure, as far as that is known.
local function happens(entry, event)
  local words = split(event, " ")
  local kind = words[1]
  local at = tonumber(kind == "e" and words[2] or words[3])
  if entry.variant < 0 or at < entry.exposed then
    return false
  end
  if kind == "e" then
    fail(entry)
  elseif not isWithin(entry, at, tonumber(words[4])) then
    return true
  elseif kind == "v" then
    reach(entry, valueOf(event))
  elseif entry.goals[words[2]] then
    add("repeated", 1)
  else
    entry.goals[words[2]] = { seen = {} }
    add("goal:" .. whole(entry.variant) .. ":" .. words[2], 1)
  end
  return true
end

-- What waited, and an exposure: the first (before: nil), or one that turns out to be earlier. False: it goes on waiting.
local function claims(entry, text, before)
  local event = pastOf(text)
  if event == nil then
    return happens(entry, text)
  end
  local isBefore = event.at < entry.exposed
  if before == nil and isBefore and entry.exposed - event.at <= event.pre then
    addPast(entry, event.name, event.value)
  end
  if isBefore then
    return false
  end
  if before ~= nil and before - event.at <= event.pre then
    addPast(entry, event.name, -event.value)
  end
  if isWithin(entry, event.at, event.window) then
    addValue(entry, event.name, event.value)
  end
  return true
end

local function expose(entry, words)
  local variant, at, error, latency = tonumber(words[2]), tonumber(words[3]), words[4], tonumber(words[5])
  if entry.variant < 0 then
    entry.variant = variant
    entry.exposed = at
    add("units:" .. whole(variant), 1)
  elseif entry.variant == variant then
    entry.exposed = math.min(entry.exposed, at)
  else
    if not has(entry.flags, CROSSED) then
      add("crossed", 1)
      entry.flags = entry.flags + CROSSED
    end
    return
  end
  if error == "1" then
    fail(entry)
  end
  if latency >= 0 and entry.latency < 0 then
    entry.latency = latency
    add("latency:" .. whole(variant) .. ":" .. whole(latency), 1)
  end
end

-- What waited long enough is past, or nothing.
local function settle(entry)
  for _, text in ipairs(entry.waiting) do
    local event = entry.variant < 0 and pastOf(text) or nil
    if event then
      fold(entry.pasts[event.name], event.at, event.value)
    end
  end
  entry.waiting = {}
end

local function apply(entry, event)
  if now - entry.added > wait then
    settle(entry)
  end
  if string.sub(event, 1, 1) == "x" then
    local before = entry.variant >= 0 and entry.exposed or nil
    expose(entry, split(event, " "))
    local left = {}
    for _, one in ipairs(entry.waiting) do
      if not claims(entry, one, before) then
        left[#left + 1] = one
      end
    end
    entry.waiting = left
    if before == nil then
      for name, past in pairs(entry.pasts) do
        addPast(entry, name, collapse(past, entry.exposed))
      end
    end
    return
  end
  if happens(entry, event) then
    return
  end
  local value = pastOf(event)
  if entry.variant < 0 then
    entry.exposed = math.max(entry.exposed, now + math.max(wait, value and value.pre or 0))
  end
  if value and not takesIn(entry, value) then
    return
  end
  if #entry.waiting == 0 then
    entry.added = now
  end
  if #entry.waiting < (value and MOST_WAITING / 2 or MOST_WAITING) then
    entry.waiting[#entry.waiting + 1] = event
  elseif not value then
    add(string.sub(event, 1, 1) == "e" and "lost:errors" or "lost:goals", 1)
  elseif entry.variant < 0 then
    fold(entry.pasts[value.name], value.at, value.value)
  end
end

local enrolled = tonumber(redis.call("HGET", KEYS[1], "enrolled") or "0")
local waiting = tonumber(redis.call("HGET", KEYS[1], "waiting") or "0")
local remembers = redis.call("HGET", KEYS[1], "remembers") == "1"
local position = split(redis.call("GET", KEYS[2]) or "0 0 0 0", " ")
local last = tonumber(position[1])
local fresh = 0
local touched = {}

-- Units that did something and were never exposed leave their bucket when it is needed.
local function sweep(bucket)
  local all = redis.call("HGETALL", bucket)
  for i = 1, #all, 2 do
    local kept = string.match(all[i + 1], "^%-1 (%d+) ")
    if kept and now > tonumber(kept) then
      redis.call("HDEL", bucket, all[i])
      waiting = waiting - 1
    end
  end
end

for i = 7, #ARGV do
  local number, index, unit, event = string.match(ARGV[i], "^(%d+) (%d+) (%S+) (.*)$")
  if tonumber(number) > last then
    last = tonumber(number)
    fresh = fresh + 1
    local bucket = KEYS[2 + tonumber(index)]
    local text = redis.call("HGET", bucket, unit)
    local entry = text and read(text) or { variant = -1, exposed = 0, flags = 0, latency = -1, added = 0, goals = {}, pasts = {}, waiting = {} }
    local isExposure = string.sub(event, 1, 1) == "x"
    remembers = remembers or isPast(event)
    local admitted = true
    if entry.variant < 0 and isExposure then
      admitted = enrolled < most
      if admitted then
        enrolled = enrolled + 1
        if text then
          waiting = waiting - 1
        end
      else
        add("full", 1)
      end
    elseif not text then
      -- Where a pre-period is asked for, as many may be remembered as may take part.
      local room = remembers and most or most / 10
      if waiting * 2 >= room then
        sweep(bucket)
      end
      admitted = waiting < room
      if admitted then
        waiting = waiting + 1
      else
        add(string.sub(event, 1, 1) == "e" and "lost:errors" or isPast(event) and "lost:past" or "lost:goals", 1)
      end
    end
    if admitted then
      apply(entry, event)
      redis.call("HSET", bucket, unit, write(entry))
      touched[bucket] = true
    end
  end
end

for i, name in ipairs({ "lost:exposures", "lost:goals", "lost:errors" }) do
  local more = tonumber(ARGV[3 + i]) - tonumber(position[1 + i])
  if more > 0 then
    add(name, more)
    position[1 + i] = ARGV[3 + i]
  end
end
for name, by in pairs(counts) do
  local before = tonumber(redis.call("HGET", KEYS[1], name) or "0")
  redis.call("HSET", KEYS[1], name, exact(before + by))
end
redis.call("HSET", KEYS[1], "enrolled", whole(enrolled), "waiting", whole(waiting), "remembers", remembers and "1" or "0")
redis.call("SET", KEYS[2], whole(last) .. " " .. position[2] .. " " .. position[3] .. " " .. position[4], "PX", life)
redis.call("PEXPIRE", KEYS[1], life)
for bucket in pairs(touched) do
  redis.call("PEXPIRE", bucket, life)
end
return { fresh }
