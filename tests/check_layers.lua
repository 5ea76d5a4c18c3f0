-- Checks that the arrows between the rooms of runtime/ go one way (docs/architecture.md).
-- Prints every violation as "file:line: text"; exit status 1 when there is one.
--
--     moonlet tests/check_layers.lua [source root]

local root = arg[1] or os.getenv("MOONLET_SOURCE") or "."

-- The rooms, the lowest first: a file may include its own room and those before it. A room that is divided has
-- folders, the lowest first as well; a file in it lies in one of them. cli includes moonlet.h alone.
local order = {
  { "base" },
  { "coro" },
  { "hub", "state", "switch", "loop", "wait", "on" },
  { "io" },
  { "system", "signal", "file", "process" },
  { "interpose" },
  { "http" },
  { "worker" },
  { "db", "sqlite", "postgres" },
  { "bindings", "core", "task", "coroutine", "sync", "net", "data", "file", "signal", "process", "thread",
    "http", "worker", "db", "postgres", "lib", "inspect", "repl" },
  { "vm" },
  { "cli" },
}

-- Name of a room or folder -> its place in the order: room * 100 + folder.
local places = {}
for i, room in ipairs(order) do
  places[room[1]] = #room == 1 and i * 100 or nil
  for k = 2, #room do
    places[room[1] .. "/" .. room[k]] = i * 100 + k
  end
end

-- Headers that only some rooms may include.
local lua_rooms = { bindings = true, vm = true }
local reserved = {
  ["lua.h"] = lua_rooms,
  ["lauxlib.h"] = lua_rooms,
  ["lualib.h"] = lua_rooms,
  ["luaconf.h"] = lua_rooms,
  ["lua.hpp"] = lua_rooms,
  ["ev.h"] = { hub = true },
  ["moonlet.h"] = { bindings = true, vm = true, cli = true },
}

local violations = 0
local function violation(file, line, text, ...)
  violations = violations + 1
  print(("%s:%d: %s"):format(file, line, text:format(...)))
end

-- The files under root/dir, as paths relative to root.
local function files_under(dir)
  local files = {}
  local quoted = "'" .. root:gsub("'", [['\'']]) .. "'"
  local find <close> = assert(io.popen(
    "cd " .. quoted .. " && test -d " .. dir .. " && LC_ALL=C find " .. dir .. " -type f"))
  for path in find:lines() do files[#files + 1] = path end
  table.sort(files)
  return files
end

local function read(path)
  local file <close> = assert(io.open(root .. "/" .. path, "rb"))
  return file:read("a")
end

local function blank(text)
  return (text:gsub("[^\n]", " "))
end

-- Walks over C text and blanks its comments and, if asked, its strings; lines keep their numbers.
local function c_code(text, without_strings)
  local out, at = {}, 1
  while true do
    local start = text:find("[/\"']", at)
    if not start then break end
    out[#out + 1] = text:sub(at, start - 1)
    local two, stop = text:sub(start, start + 1), start
    if two == "/*" then
      stop = select(2, text:find("*/", start + 2, true)) or #text
      out[#out + 1] = blank(text:sub(start, stop))
    elseif two == "//" then
      stop = (text:find("\n", start, true) or #text + 1) - 1
      out[#out + 1] = blank(text:sub(start, stop))
    elseif two:sub(1, 1) == "/" then
      out[#out + 1] = "/"
    else
      local quote = two:sub(1, 1)
      repeat
        stop = text:find("[\\\n" .. quote .. "]", stop + 1) or #text
        local escape = text:sub(stop, stop) == "\\"
        if escape then stop = stop + 1 end
      until not escape or stop >= #text
      local literal = text:sub(start, stop)
      out[#out + 1] = without_strings and blank(literal) or literal
    end
    at = stop + 1
  end
  out[#out + 1] = text:sub(at)
  return table.concat(out)
end

local function each_line(text)
  local number, at = 0, 1
  return function()
    if at > #text then return nil end
    local stop = text:find("\n", at, true) or #text + 1
    local line = text:sub(at, stop - 1)
    number, at = number + 1, stop + 1
    return number, line
  end
end

-- module -> other module -> "file:line: #include ...", for the search for cycles. A header and the .c of its
-- name are one module.
local arrows = {}

local function note_arrow(file, line, header)
  local from, to = file:gsub("^runtime/", ""):gsub("%.%w+$", ""), header:gsub("%.%w+$", "")
  if from == to then return end
  arrows[from] = arrows[from] or {}
  arrows[from][to] = arrows[from][to] or ('%s:%d: #include "%s"'):format(file, line, header)
end

local function check_include(file, line, room, quoted, header)
  local top = room:match("^[^/]+")
  local rooms = reserved[header:match("[^/]+$")]
  if rooms then
    if not rooms[top] then violation(file, line, "%s may not include %s", room, header) end
    return
  end
  local other = header:match("^(.+)/[^/]+$")
  if other and places[other] then
    note_arrow(file, line, header)
    if room == "cli" and header ~= "cli/options.h" then
      violation(file, line, "cli may include no header of the project but moonlet.h")
    elseif places[other] > places[room] then
      violation(file, line, "%s may not include %s", room, other)
    end
  elseif quoted and not (room == "cli" and not header:find("/")) then
    violation(file, line, 'project headers are included by room path, not as "%s"', header)
  end
end

local function check_c(file, room)
  local text = read(file)
  for line, code in each_line(c_code(text)) do
    local open, header = code:match('^%s*#%s*include%s*([<"])([^>"]+)')
    if header then check_include(file, line, room, open == '"', header) end
  end
  if room == "coro" then return end
  for line, code in each_line(c_code(text, true)) do
    for word in code:gmatch("[%a_][%w_]*") do
      if word == "asm" or word == "__asm" or word == "__asm__" then
        violation(file, line, "only coro may hold assembly")
        break
      end
    end
  end
end

local function check_runtime_file(file)
  local room = file:match("^runtime/(.+)/[^/]+$")
  local extension = file:match("%.(%w+)$")
  local assembly = extension == "S" or extension == "s" or extension == "asm"
  if not assembly and extension ~= "c" and extension ~= "h" then return end
  if file == "runtime/moonlet.h" then
    for line, code in each_line(c_code(read(file))) do
      local header = code:match('^%s*#%s*include%s*"([^"]+)')
      if header then violation(file, line, "the public header may not include %s", header) end
    end
  elseif not room or not places[room] then
    violation(file, 1, "this file is in no room")
  elseif assembly then
    if room ~= "coro" then violation(file, 1, "only coro may hold assembly") end
  else
    check_c(file, room)
  end
end

-- The Lua side reaches C through the bindings only. A comment may name the forbidden function.
local function check_stdlib_file(file)
  if not file:find("%.lua$") then return end
  for line, code in each_line(read(file)) do
    if code:gsub("%-%-.*$", ""):find("%f[%w_]loadlib%f[^%w_]") then
      violation(file, line, "stdlib may not load C (package.loadlib)")
    end
  end
end

local runtime, stdlib = files_under("runtime"), files_under("stdlib")
if #runtime == 0 then
  io.stderr:write("check_layers: no files under ", root, "/runtime\n")
  os.exit(1)
end
for _, file in ipairs(runtime) do check_runtime_file(file) end
for _, file in ipairs(stdlib) do check_stdlib_file(file) end

-- A cycle through `module`, as the lines that make it; nil: there is none.
local function cycle_from(start)
  local came_by, queue = {}, { start }
  for _, module in ipairs(queue) do
    for other, line in pairs(arrows[module] or {}) do
      if other == start then
        local lines = { line }
        while module ~= start do
          local step = came_by[module]
          table.insert(lines, 1, step.line)
          module = step.from
        end
        return lines
      end
      if not came_by[other] then
        came_by[other] = { from = module, line = line }
        queue[#queue + 1] = other
      end
    end
  end
end

-- Each cycle is told once, by the shortest way round from the first of its modules.
local function check_cycles()
  local modules, told = {}, {}
  for module in pairs(arrows) do modules[#modules + 1] = module end
  table.sort(modules)
  for _, module in ipairs(modules) do
    local lines = not told[module] and cycle_from(module)
    if lines then
      violations = violations + 1
      print("these include each other in a circle:")
      for _, line in ipairs(lines) do
        print("  " .. line)
        told[line:match("^runtime/(.-)%.%w+:")] = true
      end
    end
  end
end
check_cycles()

print(("layers: %d files, %d violations"):format(#runtime + #stdlib, violations))
if violations > 0 then os.exit(1, true) end
