-- Runs a child to its end: feeds it, collects what it writes, all three at the same time.

local error, ipairs, pairs, tostring, type = error, ipairs, pairs, tostring, type
local math_max, table_concat = math.max, table.concat
local argument = require "moonlet.argument"
local channel = require "moonlet.channel"
local start = require "moonlet.process.start"
local sync = require "moonlet.sync"
local task = require "moonlet.task"

local run = {}

local MAX_OUTPUT = 64 * 1024 * 1024

-- Seconds for the rest of the output once the child, and its group, are gone: only a process that
-- has left the group can still hold a pipe.
local REST = 1

run.known = {
  stdin = true, stdout = true, stderr = true, cwd = true, env = true, group = true,
  kill_after = true, limit = true, user = true, pty = true, detached = true,
  input = true, timeout = true, max_output = true, check = true,
}

local function check_input(input)
  if type(input) == "table" then
    for i = 1, #input do
      if type(input[i]) ~= "string" then
        start.refuse("option 'input': item %d must be a string, not a %s", i, type(input[i]))
      end
    end
  elseif input ~= nil and type(input) ~= "string" and not argument.is_callable(input) then
    start.refuse("option 'input' must be a string, a list of them or a function, not a %s",
      type(input))
  end
end

--- Checks the options: what to start, for core.spawn.
function run.read(opts, known)
  local has_input = type(opts) == "table" and opts.input ~= nil
  local what = start.read(opts, known, {
    stdin = has_input and "pipe" or "null", stdout = "pipe", stderr = "pipe",
  })
  check_input(opts.input)
  if has_input and opts.stdin ~= nil then
    start.refuse("options 'input' and 'stdin' exclude each other")
  end
  if opts.stdin == "pipe" then start.refuse("option 'stdin' cannot be a pipe: give 'input'") end
  if opts.detached then start.refuse("a detached process is not waited for: use spawn") end
  if opts.timeout ~= nil then start.check_number(opts.timeout, "timeout", 0) end
  if opts.max_output ~= nil then start.check_count(opts.max_output, "max_output", 0) end
  start.check_boolean(opts.check, "check")
  return what
end

-- Writes the texts of the input in turn. A child that closes its input, or ends, takes no more:
-- that is no failure of the run. Returns the last text that is not empty.
local function feed(stream, input)
  if type(input) == "string" then
    stream:write(input)
    return input
  end
  local index, last = 0, ""
  local next_piece = type(input) ~= "table" and input or function()
    index = index + 1
    return input[index]
  end
  local piece = next_piece()
  while piece ~= nil do
    if type(piece) == "number" then piece = tostring(piece) end
    if type(piece) ~= "string" then
      error(("the function of option 'input' must return strings or nil, not a %s")
        :format(type(piece)), 0)
    end
    if not stream:write(piece) then break end
    if piece ~= "" then last = piece end
    piece = next_piece()
  end
  return last
end

-- The key ^D hands over what was typed. That is the end of the input if it was nothing: after a
-- line that is not finished it takes two.
local function feed_and_end(stream, input, is_terminal)
  local last = feed(stream, input)
  if is_terminal then
    stream:write((last == "" or last:sub(-1) == "\n") and "\4" or "\4\4")
  else
    stream:close()
  end
end

-- Collects what comes until the end, as long as there is room for it.
local function collect(stream, parts, room, overflow)
  local piece = stream:read_some()
  while piece and #piece <= room.left do
    room.left = room.left - #piece
    parts[#parts + 1] = piece
    piece = stream:read_some()
  end
  if not piece then return end
  parts[#parts + 1] = piece:sub(1, room.left)
  room.left = 0
  stream:close()
  overflow:set()
end

-- Waits for the end of the child. Returns what has made it end before: "timeout", "overflow" or
-- nil.
local function wait_for_end(p, timeout, overflow)
  local choice = channel.select { { p, "wait" }, { overflow, "wait" }, timeout = timeout }
  if choice ~= 1 then
    p.handle:close()
    p.handle:wait()
  end
  return overflow:is_set() and "overflow" or choice == nil and "timeout" or nil
end

-- Feeds, collects and waits; true once the streams are closed, whoever holds the other ends.
local function converse(g, p, opts, output)
  local readers = {}
  if opts.input ~= nil then
    g:spawn(feed_and_end, p.pty or p.stdin, opts.input, p.pty ~= nil)
  end
  for name, stream in pairs { stdout = p.pty or p.stdout, stderr = p.stderr } do
    readers[#readers + 1] = g:spawn(collect, stream, output[name], output.room, output.overflow)
  end
  local cut = wait_for_end(p, opts.timeout, output.overflow)
  local deadline = task.now() + REST
  for _, reader in ipairs(readers) do reader:join(math_max(0, deadline - task.now())) end
  p:close()
  return cut or output.overflow:is_set() and "overflow" or nil
end

-- The last line that is not empty, for a message.
local function last_line(text)
  local line = text and text:match "([^\n]*)%s*$"
  return line and line ~= "" and ": " .. line:sub(1, 200) or ""
end

local function outcome(what, opts, result, how, cut)
  if cut == "timeout" then return nil, "timeout", "ETIMEDOUT", result end
  if cut == "overflow" then
    local most = opts.max_output or MAX_OUTPUT
    return nil, ("%s: more than %d bytes of output"):format(what.name, most), "EMSGSIZE", result
  end
  if how == "unknown" then
    return nil, what.name .. ": other code of this program has waited for it", "ECHILD", result
  end
  if not opts.check or result.status == 0 then return result end
  local ended = result.signal and "killed by " .. result.signal or "status " .. result.status
  return nil, what.name .. ": " .. ended .. last_line(result.stderr), "EEXIT", result
end

--- Runs the child to its end. launch: starts it.
function run.run(what, opts, launch)
  local p, message, code = start.checked(2, "run", launch, what)
  if not p then return nil, message, code end
  local child <close> = p
  local output = {
    stdout = {}, stderr = {}, room = { left = opts.max_output or MAX_OUTPUT },
    overflow = sync.event(),
  }
  local cut = task.group(function(g) return converse(g, child, opts, output) end)
  local how, value = child.handle:wait(0)
  local result = {
    stdout = (child.stdout or child.pty) and table_concat(output.stdout),
    stderr = child.stderr and table_concat(output.stderr),
  }
  if value ~= nil then result[how] = value end
  return outcome(what, opts, result, how, cut)
end

return run
