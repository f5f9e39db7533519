-- Every request has a path and a User-Agent that no other has: nothing that a server remembers of requests is of use.
-- argv: nothing. Headers come from the command line (wrk.headers), the path from its URL (wrk.path).
local count = 0
local seed = 0

function init(args)
  seed = os.time() % 100000
end

function request()
  count = count + 1
  local unique = seed .. "-" .. count
  wrk.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:150.0) Gecko/20100101 Firefox/" .. unique
  return wrk.format("GET", wrk.path .. unique)
end
