-- Enters a release into the list of those kept.
-- KEYS[1] list of releases, oldest first: "ID JSON"
-- ARGV[1] its id
-- ARGV[2] its JSON
-- ARGV[3] how many are kept
-- ARGV[4…] ids that stay, however old
-- Replies the ids that were dropped.
local stays = { [ARGV[1]] = true }
for i = 4, #ARGV do stays[ARGV[i]] = true end
local list = redis.call("LRANGE", KEYS[1], 0, -1)
for _, entry in ipairs(list) do
  if entry:match("^%S+") == ARGV[1] then redis.call("LREM", KEYS[1], 1, entry) end
end
redis.call("RPUSH", KEYS[1], ARGV[1] .. " " .. ARGV[2])
local dropped = {}
list = redis.call("LRANGE", KEYS[1], 0, -1)
local over = #list - ARGV[3]
for _, entry in ipairs(list) do
  if over <= 0 then break end
  local id = entry:match("^%S+")
  if not stays[id] then
    redis.call("LREM", KEYS[1], 1, entry)
    dropped[#dropped + 1] = id
    over = over - 1
  end
end
return dropped
