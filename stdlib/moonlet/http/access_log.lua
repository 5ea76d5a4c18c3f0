--- Lines of an access log, a part of moonlet.http's server.
-- @module moonlet.http.access_log

local io, os, tostring, type = io, os, tostring, type
local argument = require "moonlet.argument"

local access_log = {}

-- Quotes and control characters of a peer's text, so that no request writes lines of its own.
local function clean(text)
  return (tostring(text):gsub('[%c"\\\127]', function(c) return ("\\x%02x"):format(c:byte()) end))
end

-- "-": the connection is one in memory.
local function name_of(client)
  if not client then return "-" end
  return client.host or clean(client.path ~= "" and client.path or "unix:")
end

--- The line of a request, such as "GET / HTTP/1.1"; "-": what came is no request.
function access_log.line_of(req)
  if req.method == "" then return "-" end
  return ("%s %s HTTP/%s"):format(clean(req.method), clean(req.target), req.version)
end

local function format(req, status, bytes, seconds)
  return ('%s [%s] "%s" %d %d %.6f\n'):format(
    name_of(req.client), os.date "!%Y-%m-%dT%H:%M:%SZ", access_log.line_of(req), status, bytes,
    seconds)
end

--- Makes the function that the server calls after each request.
-- @param target true: standard error; one of io's files; or function(line, req)
-- @treturn function(req,status,bytes,seconds)
function access_log.new(target)
  if target == true then target = io.stderr end
  if argument.is_callable(target) then
    return function(req, ...) target(format(req, ...), req) end
  end
  if io.type(target) ~= "file" then
    local message = "option 'log' must be true, a file or a function, not a %s"
    argument.fail(message:format(type(target)))
  end
  return function(...) target:write(format(...)) end
end

return access_log
