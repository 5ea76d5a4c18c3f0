--- Looks for a pattern in files and directories, on all cores: a grep of Lua's patterns.
--
--     moonlet scripts/grep.lua [-F] [-i] [-n] [-l | -c] pattern [file or directory ...]
--
-- -F: plain text instead of a pattern; -i: letters of either case; -n: numbers of lines; -l: only
-- the names of files that have it; -c: only how many lines of each have it. Directories are
-- searched with all that is in them. Without a file: standard input. On a terminal what was found
-- is in colours.
-- Exit status: 0 if a line was found, 1 if none was, 2 after an error.

local channel = require "moonlet.channel"
local fs = require "moonlet.fs"
local task = require "moonlet.task"
local terminal = require "moonlet.terminal"
local thread = require "moonlet.thread"

local FILES_AT_A_TIME = 16 -- in one call of a thread

local function fail(message)
  io.stderr:write("grep.lua: ", message, "\n")
  os.exit(2, true)
end

-- The piece of a pattern at a position, for letters of either case; the position behind it; whether
-- that is inside a set. Classes (%a) stay as they are.
local function either_case_at(pattern, at, in_set)
  local class = not in_set and (pattern:match("^%%b..", at) or pattern:match("^%%f", at))
    or pattern:match("^%%.", at)
  if class then return class, at + #class, in_set end
  local opening = not in_set and pattern:match("^%[%^?%]?", at)
  if opening then return opening, at + #opening, true end
  local from, to = pattern:match("^(%a)%-(%a)", at)
  if in_set and from then
    return ("%s-%s%s-%s"):format(from:lower(), to:lower(), from:upper(), to:upper()), at + 3, true
  end
  local char = pattern:sub(at, at)
  if not char:find "%a" then return char, at + 1, in_set and char ~= "]" end
  local both = char:lower() .. char:upper()
  return in_set and both or "[" .. both .. "]", at + 1, in_set
end

local function either_case(pattern)
  local pieces, at, in_set = {}, 1, false
  while at <= #pattern do
    pieces[#pieces + 1], at, in_set = either_case_at(pattern, at, in_set)
  end
  return table.concat(pieces)
end

-- Searches a text, on whatever thread: returns the lines to be shown, and how many lines have it.
local function search_text(text, name, options)
  local find, plain, lines, count, number = string.find, options.plain, {}, 0, 0
  local prefix = options.shows_names and name .. ":" or ""
  local pattern, binary = options.pattern, find(text, "\0", 1, true)
  for line in text:gmatch "([^\n]*)\n?" do
    number = number + 1
    local from, to = find(options.folds and line:lower() or line, pattern, 1, plain)
    if from and text ~= "" then
      count = count + 1
      if options.only_names then break end
      if not options.only_counts and not binary then
        if options.colours and to >= from then
          line = line:sub(1, from - 1) .. "\27[1;31m" .. line:sub(from, to) .. "\27[0m"
            .. line:sub(to + 1)
        end
        lines[#lines + 1] = prefix .. (options.numbers and number .. ":" or "") .. line
      end
    end
  end
  if options.only_names then return count > 0 and name .. "\n" or "", count end
  if options.only_counts then return prefix .. count .. "\n", count end
  if binary then return count > 0 and ("Binary file %s matches\n"):format(name) or "", count end
  lines[#lines + 1] = ""
  return table.concat(lines, "\n"), count
end

-- Searches files, on a thread of the pool: returns what is to be shown, how many lines have it, and
-- what could not be read.
local function search_files(names, options)
  local shown, count, complaints = {}, 0, {}
  for _, name in ipairs(names) do
    local file, message = io.open(name, "rb")
    local text = file and file:read "a"
    if file then file:close() end
    if text then
      local lines, found = search_text(text, name, options)
      shown[#shown + 1], count = lines, count + found
    else
      complaints[#complaints + 1] = message or name .. ": cannot be read"
    end
  end
  return table.concat(shown), count, complaints
end

local function read_options(arguments)
  local options, names, ends = {}, {}, false
  local known = {
    F = "plain", i = "ignores_case", n = "numbers", l = "only_names", c = "only_counts",
  }
  for _, argument in ipairs(arguments) do
    if not ends and argument == "--" then
      ends = true
    elseif not ends and argument:find "^%-." then
      for letter in argument:sub(2):gmatch "." do
        if not known[letter] then fail(("unknown option '-%s'"):format(letter)) end
        options[known[letter]] = true
      end
    else
      names[#names + 1] = argument
    end
  end
  options.pattern = table.remove(names, 1)
  if not options.pattern then
    fail "usage: grep.lua [-F] [-i] [-n] [-l | -c] pattern [file or directory ...]"
  end
  return options, names
end

local function prepare(options)
  if not options.plain then
    local ok, message = pcall(string.find, "", options.pattern)
    if not ok then fail((message:gsub("^[^:]*:%d+: ", ""))) end
  end
  if options.ignores_case and options.plain then
    options.pattern, options.folds = options.pattern:lower(), true
  elseif options.ignores_case then
    options.pattern = either_case(options.pattern)
  end
end

local function complain(message)
  io.stderr:write("grep.lua: ", message, "\n")
end

-- All files below the names, as groups. The second function: whether something could not be read.
local function groups_of(names)
  local has_failed = false
  local function note(message)
    complain(message)
    has_failed = true
  end
  local next_file = coroutine.wrap(function()
    for _, name in ipairs(names) do
      local about, message = fs.stat(name)
      if not about then
        note(message)
      elseif about.type ~= "directory" then
        coroutine.yield(name)
      else
        for path, type in fs.walk(name, { on_error = note }) do
          if type == "file" then coroutine.yield(path) end
        end
      end
    end
  end)
  local is_over = false
  return function()
    local group = {}
    while #group < FILES_AT_A_TIME and not is_over do
      local name = next_file()
      group[#group + 1], is_over = name, name == nil
    end
    if #group > 0 then return group end
  end, function() return has_failed end
end

-- Has the threads search all groups, and shows what they find in the order of the files.
local function search(options, names)
  local count, has_failed = 0, false
  local pool <close> = thread.pool { name = "grep" }
  local under_way = channel.new(64)
  task.spawn(function()
    local next_group, has_complained = groups_of(names)
    for group in next_group do
      under_way:put(task.spawn({ quiet = true }, pool.call, pool, search_files, group, options))
    end
    has_failed = has_complained()
    under_way:close()
  end)
  for call in under_way:values() do
    local ok, shown, found, complaints = call:join()
    if not ok then error(shown, 0) end
    io.write(shown)
    for _, complaint in ipairs(complaints) do complain(complaint) end
    count, has_failed = count + found, has_failed or #complaints > 0
  end
  return count, has_failed
end

local function is_terminal()
  return os.getenv "NO_COLOR" == nil and terminal.is(io.stdout)
end

local options, names = read_options(arg)
prepare(options)
options.colours = is_terminal()
local count, has_failed
if #names == 0 then
  local shown
  shown, count = search_text(io.read "a", "(standard input)", options)
  io.write(shown)
else
  local about = fs.stat(names[1])
  options.shows_names = #names > 1 or about ~= nil and about.type == "directory"
  count, has_failed = search(options, names)
end
os.exit(has_failed and 2 or count > 0 and 0 or 1, true)
