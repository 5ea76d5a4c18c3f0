--- The names that the program brings into a process: none of them, and none of a library that comes with it, answers
-- what another library means for a third.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local program = os.getenv "MOONLET"
local MODULES = package.cpath:match "(/usr/lib/[^;]*/lua/5%.4)/%?%.so"

-- The parts of libc, and what the kernel and the sanitizers add: each process has them.
local function is_libc(path)
  for _, name in ipairs { "libc", "libm", "libdl", "libpthread", "librt", "libresolv", "libutil", "libgcc_s",
    "ld%-linux.*", "linux%-vdso", "libasan", "libubsan", "liblua5%.4" } do
    if path:match("^" .. name .. "%.so") or path:match("/" .. name .. "%.so") then return true end
  end
  return false
end

local function lines(command)
  local list, pipe <close> = {}, io.popen(command)
  for line in pipe:lines() do list[#list + 1] = line end
  return list
end

local function quote(text) return "'" .. text .. "'" end

-- The libraries that are loaded with a file.
local function libraries_of(path)
  local list = {}
  for _, line in ipairs(lines("ldd " .. quote(path) .. " 2>/dev/null")) do
    local library = line:match "=> (/%S+)" or line:match "^%s*(/%S+)"
    list[#list + 1] = library or line:match "^%s*(%S+)"
  end
  return list
end

-- The names that a library offers to others, as a set.
local offered = setmetatable({}, { __index = function(cache, path)
  local set = {}
  for _, line in ipairs(lines("nm -D --defined-only " .. quote(path) .. " 2>/dev/null")) do
    local name = line:match "%s[A-TV-Zuvwi]%s+([^%s@]+)"
    if name then set[name] = true end
  end
  cache[path] = set
  return set
end })

-- What the program answers by its own right.
local function is_ours(name)
  return name:find "^lua_" or name:find "^luaL_" or name:find "^luaopen_" or name:find "^moonlet_" or
    name:find "^__cxa_guard_" -- the same in every C++ runtime
end

local function is_anybodys(name)
  for _, one in ipairs { "_IO_stdin_used", "__bss_start", "_edata", "_end", "_start", "__data_start", "data_start",
    "_init", "_fini", "main" } do
    if name == one then return true end
  end
  return name:find "san_" ~= nil or name:find "^__start_" or name:find "^__stop_"
end

local libc_names = {}
for _, path in ipairs(libraries_of(program)) do
  if is_libc(path) and path:find "^/" then
    for name in pairs(offered[path]) do libc_names[name] = true end
  end
end

local is_sanitized = next(lines("nm -D " .. quote(program) .. " | grep -m1 __asan_init")) ~= nil

describe("the program", function()
  -- libev.so came with it, which exports libevent's names: a module that used libevent got libev's functions.
  it("brings no library but libc", function()
    for _, path in ipairs(libraries_of(program)) do
      local is_sanitizers = is_sanitized and path:find "libstdc%+%+" -- libubsan's
      if not (is_libc(path) or is_sanitizers) then error(path) end
    end
  end)

  it("exports Lua's names and libc's alone", function()
    if is_sanitized then return end
    for name in pairs(offered[program]) do
      if not (is_ours(name) or is_anybodys(name) or libc_names[name]) then error(name) end
    end
  end)

  it("answers no name that the libraries of the distribution's modules have for each other", function()
    if is_sanitized then return end
    local modules, seen = lines("find " .. MODULES .. " -name '*.so'"), {}
    assert.is_true(#modules > 10)
    for _, module in ipairs(modules) do
      for _, path in ipairs(libraries_of(module)) do
        if path:find "^/" and not is_libc(path) and not seen[path] then
          seen[path] = true
          for name in pairs(offered[path]) do
            if offered[program][name] and not libc_names[name] and not is_anybodys(name)
              and not name:find "^__cxa_guard_" then
              error(("%s of %s, which %s needs"):format(name, path, module))
            end
          end
        end
      end
    end
  end)

  it("loads libev nevertheless", function()
    local output = support.run [[
      require "moonlet.net".resolve "localhost"
      local maps = io.open "/proc/self/maps":read "a"
      print(maps:find "/libev%.so" ~= nil)
    ]]
    assert.matches("^true\n", output)
  end)
end)

describe("a module that uses libevent", function()
  it("gets libevent's functions", function()
    assert(package.searchpath("luaevent.core", package.cpath), "the Debian package lua-event is needed")
    local command, path = support.command [[
      local event = require "luaevent.core"
      local base = event.new()
      print(event.libevent_version()) -- libev says 4.33
      base:addevent(nil, event.EV_TIMEOUT, function()
        print "fired"
        return -1
      end, 0.01)
      base:loop()
    ]]
    local output = support.shell("ASAN_OPTIONS=$ASAN_OPTIONS:detect_leaks=0 " .. command)
    os.remove(path)
    assert.matches("^2%.%S+\nfired\n$", output)
  end)
end)
