--- What the specs of the inspector share: programs that are inspected, and visitors of theirs.
-- Loaded with dofile("tests/spec/inspect_support.lua").

local fs = require "moonlet.fs"
local http = require "moonlet.http"
local net = require "moonlet.net"
local process = require "moonlet.process"
local support = dofile "tests/spec/support.lua"

local inspected = {}

local Program = {}
Program.__index = Program

--- Asks the inspector: as http.request(), with a path in place of the URL.
function Program:request(opts)
  opts.url = "http://inspected" .. opts.path
  opts.path = nil
  opts.timeout = opts.timeout or support.patience
  return assert(self.client:request(opts))
end

function Program:get(path, opts)
  opts = opts or {}
  opts.path = path
  return self:request(opts)
end

--- Has the program call a function of the agent.
function Program:call(name, arguments, seconds)
  return self:request { method = "POST", path = "/request",
    json = { call = name, arguments = arguments, seconds = seconds } }
end

--- The results of that, which must succeed.
function Program:results(name, arguments, seconds)
  local reply = self:call(name, arguments, seconds)
  if reply.status ~= 200 then error(name .. ": " .. reply.body, 2) end
  return table.unpack(reply:json().results)
end

--- Waits until the program answers: where many programs run, 100 ms may be too short.
function Program:answers()
  support.eventually(function() return self:get("/state").status == 200 end)
end

--- Ends the program. Returns how it ended.
function Program:close()
  self.client:close()
  self.child:kill "KILL"
  local result = self.child:wait(support.patience)
  self.directory:close()
  return result
end
Program.__close = Program.close

--- Waits for a line of the program's output that matches.
function Program:line(pattern)
  local lines = {}
  while true do
    local line = self.child.stdout:read_line()
    if not line then error("no line '" .. pattern .. "' in: " .. table.concat(lines, "\n"), 2) end
    lines[#lines + 1] = line
    if line:find(pattern) then return line:match(pattern) end
  end
end

--- Starts a program that is inspected at a Unix socket. `local program <close> = inspected.start(...)`
-- @tparam string source
-- @tparam[opt] table opts options (a list), env, wraps (a list of words before the program)
function inspected.start(source, opts)
  opts = opts or {}
  local directory = assert(fs.temp_dir())
  local path, script = directory.path .. "/inspect.sock", directory.path .. "/script.lua"
  assert(fs.write(script, source))
  local words = { os.getenv "MOONLET", "--inspect=" .. (opts.address or "unix:" .. path) }
  table.move(opts.options or {}, 1, #(opts.options or {}), #words + 1, words)
  words[#words + 1] = script
  words.stdout, words.stderr, words.env = "pipe", "stdout", opts.env
  local child = assert(process.spawn(words))
  local client = http.client {
    connect = function() return net.connect("unix:" .. path) end, timeout = support.patience,
  }
  local program = setmetatable({
    child = child, directory = directory, client = client, path = path, script = script,
  }, Program)
  child.stdout:set_timeout(support.patience)
  program.place = program:line "^inspector: (.*)$"
  return program
end

return inspected
