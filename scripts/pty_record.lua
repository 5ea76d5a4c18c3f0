-- Records a session at a terminal, with its times, and replays it.
--
--     moonlet scripts/pty_record.lua record [-s COLSxROWS] FILE [COMMAND [ARGUMENT...]]
--     moonlet scripts/pty_record.lua replay [-x SPEED] [-i SECONDS] FILE
--
-- record runs COMMAND ($SHELL) in a terminal of its own of the size of this one (or of -s), shows
-- what it writes, passes on what is typed, and ends with its status. FILE is in the format of
-- asciinema (version 2): a JSON line about the session, then [seconds, "o", text] for each piece
-- of output, [seconds, "r", "COLSxROWS"] for each new size of this terminal. replay shows it again:
-- SPEED times as fast (1), with no pause longer than -i seconds.
local json = require "moonlet.json"
local process = require "moonlet.process"
local signal = require "moonlet.signal"
local task = require "moonlet.task"

local USAGE = [=[
usage: moonlet pty_record.lua record [-s COLSxROWS] FILE [COMMAND [ARGUMENT...]]
       moonlet pty_record.lua replay [-x SPEED] [-i SECONDS] FILE
]=]

local function fail(message)
  io.stderr:write(message)
  os.exit(1)
end

local function read_arguments()
  local opts, i = { mode = arg[1], speed = 1, longest = math.huge }, 2
  if arg[1] == "-h" or arg[1] == "--help" then
    io.write(USAGE)
    os.exit(0)
  end
  while arg[i] and arg[i]:find "^%-" do
    local word, value = arg[i], arg[i + 1] or ""
    local cols, rows = value:match "^(%d+)x(%d+)$"
    cols, rows = tonumber(cols), tonumber(rows)
    local is_size = cols and math.min(cols, rows) >= 1 and math.max(cols, rows) <= 65535
    if word == "-s" and is_size and opts.mode == "record" then
      opts.cols, opts.rows = cols, rows
    elseif word == "-x" and (tonumber(value) or 0) > 0 and opts.mode == "replay" then
      opts.speed = tonumber(value)
    elseif word == "-i" and (tonumber(value) or -1) >= 0 and opts.mode == "replay" then
      opts.longest = tonumber(value)
    else
      fail(USAGE)
    end
    i = i + 2
  end
  opts.file = arg[i]
  opts.command = table.move(arg, i + 1, #arg, 1, {})
  local is_right = opts.mode == "record" or opts.mode == "replay" and #opts.command == 0
  if not is_right or not opts.file then fail(USAGE) end
  return opts
end

-- ---- this terminal ----

-- What stty prints about the terminal at standard input; nil: it is none. In a group of its own it
-- would not be allowed to change the terminal.
local function stty(...)
  local result = process.run { "stty", stdin = "inherit", group = false, ... }
  return result and result.status == 0 and result.stdout or nil
end

local function size_here()
  local rows, cols = (stty "size" or ""):match "^(%d+) (%d+)"
  rows, cols = tonumber(rows), tonumber(cols)
  if not rows or rows == 0 or cols == 0 then return 24, 80 end
  return rows, cols
end

-- Every key goes to the command, until the guard is closed.
local function take_keys()
  local before = stty "-g"
  if before then stty("raw", "-echo") end
  local function restore()
    if before then stty((before:gsub("%s+$", ""))) end
  end
  return setmetatable({ is_terminal = before ~= nil, restore = restore }, { __close = restore })
end

-- ---- recording ----

-- The bytes at the end of a piece that begin a character of UTF-8 which is not whole yet.
local function unfinished(text)
  local start, length = text:match "()([\xC2-\xF4])[\x80-\xBF]*$"
  if not start then return 0 end
  local needed = length < "\xE0" and 2 or length < "\xF0" and 3 or 4
  local there = #text - start + 1
  return there < needed and there or 0
end

-- Text that JSON can say: bytes that are no UTF-8 become U+FFFD.
local function printable(text)
  local parts, at = {}, 1
  while at <= #text do
    local length, bad = utf8.len(text, at)
    local stop = length and #text or bad - 1
    parts[#parts + 1] = text:sub(at, stop)
    if not length then parts[#parts + 1] = "\u{FFFD}" end
    at = stop + 2
  end
  return table.concat(parts)
end

-- A function that adds an event to the file: true; or nil and what is wrong with the file.
local function recorder(file)
  local begun = task.now()
  return function(kind, text)
    return file:write(json.encode { task.now() - begun, kind, text }, "\n")
  end
end

-- Shows and records what the command writes, until its terminal is closed. True; or nil and what is
-- wrong with the file.
local function record_output(pty, note)
  local rest = ""
  for piece in pty:chunks() do
    io.write(piece)
    io.flush()
    piece = rest .. piece
    local cut = #piece - unfinished(piece)
    rest = piece:sub(cut + 1)
    if cut > 0 then
      local ok, why = note("o", printable(piece:sub(1, cut)))
      if not ok then return nil, why end
    end
  end
  if rest == "" then return true end
  return note("o", printable(rest))
end

-- At the end of the input the command is told so, as by the key ^D.
local function pass_keys(pty)
  for key in function() return io.read(1) end do
    if not pty:write(key) then return end
  end
  pty:write "\4"
end

-- Gives the command's terminal each new size of this one, until the guard is closed.
local function follow_size(p, note, is_wanted)
  return is_wanted and signal.on("WINCH", function()
    local rows, cols = size_here()
    if p:resize(rows, cols) then note("r", cols .. "x" .. rows) end
  end) or nil
end

local function record(opts)
  local rows, cols = size_here()
  rows, cols = opts.rows or rows, opts.cols or cols
  local command = opts.command[1] and opts.command or { os.getenv "SHELL" or "/bin/sh" }
  local file <close>, message = io.open(opts.file, "w")
  if not file then fail(message .. "\n") end
  command.pty = { rows = rows, cols = cols }
  local p <close>, why = process.spawn(command)
  if not p then fail(why .. "\n") end
  local note = recorder(file)
  file:write(json.encode({ version = 2, width = cols, height = rows, timestamp = os.time(),
    env = { TERM = os.getenv "TERM" }, command = table.concat(command, " ") }), "\n")
  io.stdin:setvbuf "no"
  local keys <close> = take_keys()
  local _ <close> = follow_size(p, note, keys.is_terminal and not opts.cols)
  local typing = task.spawn({ daemon = true, name = "keys" }, pass_keys, p.pty)
  local ok, problem = record_output(p.pty, note)
  typing:cancel()
  if ok then ok, problem = file:close() end
  if not ok then
    keys:restore()
    fail(opts.file .. ": " .. problem .. "\n")
  end
  local result = p:wait()
  return result and (result.status or 128) or 1
end

-- ---- replaying ----

local function replay(opts)
  local file <close>, message = io.open(opts.file)
  if not file then fail(message .. "\n") end
  local head = json.decode(file:read "l" or "")
  if type(head) ~= "table" or head.version ~= 2 then fail(opts.file .. ": no recording\n") end
  local shown_at, last = task.now(), 0
  for line in file:lines() do
    local event = json.decode(line)
    if type(event) ~= "table" or type(event[1]) ~= "number" then
      fail(opts.file .. ": damaged\n")
    end
    shown_at = shown_at + math.min(event[1] - last, opts.longest) / opts.speed
    last = event[1]
    task.sleep_until(shown_at)
    if event[2] == "o" then
      io.write(event[3])
      io.flush()
    end
  end
  return 0
end

local opts = read_arguments()
os.exit((opts.mode == "record" and record or replay)(opts), true)
