-- Sends the requests of the file WRK_REQUESTS in turn, and prints the totals as one line of JSON. Each line of the file
-- is one request: its path and its headers (`name: value`), separated by tabs.
local requests, at = {}, 0

function init()
  for line in io.lines(os.getenv("WRK_REQUESTS")) do
    local headers = { ["Host"] = wrk.headers["Host"] }
    local path
    for field in line:gmatch("[^\t]+") do
      local name, value = field:match("^([%w-]+): (.*)$")
      if name then headers[name] = value else path = field end
    end
    wrk.path, wrk.headers = path, headers
    requests[#requests + 1] = wrk.format("GET", path, headers)
  end
  -- wrk sends a single request without a call of Lua for each.
  if #requests > 1 then
    function request()
      at = at % #requests + 1
      return requests[at]
    end
  end
end

function done(summary)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"bytes":%.0f,"seconds":%f,"refused":%d,"broken":%d}\n',
    summary.requests, summary.bytes, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout
  ))
end
