-- Counts a batch of events of one worker, each once: what a worker sends again is known by its number. The same as unit-entry.ts.
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
local ERROR, CROSSED, MOST_WAITING, MOST_IDS, REPEAT_MS = 1, 2, 16, 8, 60000

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

local function read(text)
  local parts = split(text, "|")
  local head = split(parts[1], " ")
  local entry = {
    variant = tonumber(head[1]), exposed = tonumber(head[2]), flags = tonumber(head[3]), latency = tonumber(head[4]), added = tonumber(head[5]),
    goals = {}, waiting = {},
  }
  for i = 2, #parts do
    if string.sub(parts[i], 1, 1) == "?" then
      entry.waiting[#entry.waiting + 1] = string.sub(parts[i], 2)
    else
      local name, state = string.match(parts[i], "^([^=]*)=(.*)$")
      if state == "1!" then
        entry.goals[name] = { seen = {} }
      else
        local ids = split(state, ";")
        local goal = { sum = tonumber(ids[1]), seen = {} }
        for j = 2, #ids do
          local id, at = string.match(ids[j], "^(.*)@(.*)$")
          goal.seen[j - 1] = { id = id, at = tonumber(at) }
        end
        entry.goals[name] = goal
      end
    end
  end
  return entry
end

local function whole(number)
  return string.format("%.0f", number)
end

local function write(entry)
  local parts = { whole(entry.variant) .. " " .. whole(entry.exposed) .. " " .. whole(entry.flags) .. " " .. whole(entry.latency) .. " " .. whole(entry.added) }
  local names = {}
  for name in pairs(entry.goals) do
    names[#names + 1] = name
  end
  table.sort(names)
  for _, name in ipairs(names) do
    local goal = entry.goals[name]
    if goal.sum == nil then
      parts[#parts + 1] = name .. "=1!"
    else
      local text = name .. "=" .. string.format("%.17g", goal.sum)
      for _, one in ipairs(goal.seen) do
        text = text .. ";" .. one.id .. "@" .. whole(one.at)
      end
      parts[#parts + 1] = text
    end
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

local function addValue(entry, words, at)
  local name, value, once, again = words[2], tonumber(words[5]), words[6], words[7]
  local goal = entry.goals[name] or { sum = 0, seen = {} }
  local known, repeated = false, false
  for _, one in ipairs(goal.seen) do
    known = known or one.id == once
    repeated = repeated or one.id == once or (one.id == again and math.abs(at - one.at) <= REPEAT_MS)
  end
  if repeated then
    if not known then
      remember(goal.seen, at, once)
    end
    add("repeated", 1)
    return
  end
  local place = whole(entry.variant) .. ":" .. name
  if entry.goals[name] == nil then
    entry.goals[name] = goal
    add("goal:" .. place, 1)
  end
  local before = goal.sum or 0
  local sum = before + value
  add("events:" .. place, 1)
  add("sum:" .. place, value)
  add("squares:" .. place, sum * sum - before * before)
  goal.sum = sum
  remember(goal.seen, at, once)
  remember(goal.seen, at, (string.gsub(again, "~", "")))
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
  elseif at - entry.exposed > tonumber(words[4]) then
    add("late", 1)
  elseif kind == "v" then
    addValue(entry, words, at)
  elseif entry.goals[words[2]] then
    add("repeated", 1)
  else
    entry.goals[words[2]] = { seen = {} }
    add("goal:" .. whole(entry.variant) .. ":" .. words[2], 1)
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

local function apply(entry, event)
  if now - entry.added > wait then
    entry.waiting = {}
  end
  if string.sub(event, 1, 1) == "x" then
    expose(entry, split(event, " "))
    local left = {}
    for _, one in ipairs(entry.waiting) do
      if not happens(entry, one) then
        left[#left + 1] = one
      end
    end
    entry.waiting = left
  elseif not happens(entry, event) then
    if #entry.waiting == 0 then
      entry.added = now
    end
    if #entry.waiting < MOST_WAITING then
      entry.waiting[#entry.waiting + 1] = event
    else
      add(string.sub(event, 1, 1) == "e" and "lost:errors" or "lost:goals", 1)
    end
  end
end

local enrolled = tonumber(redis.call("HGET", KEYS[1], "enrolled") or "0")
local waiting = tonumber(redis.call("HGET", KEYS[1], "waiting") or "0")
local position = split(redis.call("GET", KEYS[2]) or "0 0 0 0", " ")
local last = tonumber(position[1])
local fresh = 0
local touched = {}

-- Units that did something and were never exposed leave their bucket when it is needed.
local function sweep(bucket)
  local all = redis.call("HGETALL", bucket)
  for i = 1, #all, 2 do
    local entry = read(all[i + 1])
    if entry.variant < 0 and now - entry.added > wait then
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
    local entry = text and read(text) or { variant = -1, exposed = 0, flags = 0, latency = -1, added = 0, goals = {}, waiting = {} }
    local isExposure = string.sub(event, 1, 1) == "x"
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
      if waiting * 20 >= most then
        sweep(bucket)
      end
      admitted = waiting * 10 < most
      if admitted then
        waiting = waiting + 1
      else
        add(string.sub(event, 1, 1) == "e" and "lost:errors" or "lost:goals", 1)
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
  redis.call("HSET", KEYS[1], name, string.format("%.17g", before + by))
end
redis.call("HSET", KEYS[1], "enrolled", whole(enrolled), "waiting", whole(waiting))
redis.call("SET", KEYS[2], whole(last) .. " " .. position[2] .. " " .. position[3] .. " " .. position[4], "PX", life)
redis.call("PEXPIRE", KEYS[1], life)
for bucket in pairs(touched) do
  redis.call("PEXPIRE", bucket, life)
end
return { fresh }
