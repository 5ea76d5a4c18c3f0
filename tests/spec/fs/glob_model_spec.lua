-- fs.glob against a matcher that tries everything: random patterns of characters, sets, stars and escapes, and random
-- names. GLOB_SEED=n GLOB_PATTERNS=n for other ones and more.
local fs = require "moonlet.fs"
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local CHARS <const> = { "a", "b", "c", "ä", "é", "-", "]", "[", "!", "^", "\\", "*", "?", "%", ".", " ", "\xff", "A",
  "\n" }
local SPECIAL <const> = { "*", "*", "?", "[a-c]", "[!a]", "[^b]", "[]a]", "[a-]", "[-a]", "[ä-é]", "[äb]", "[%]",
  "[^]]", "[a%-z]", "[\\]" }

local function characters(text)
  local list, at = {}, 1
  while at <= #text do
    list[#list + 1] = text:match("^[\xC2-\xF4][\x80-\xBF]+", at) or text:sub(at, at)
    at = at + #list[#list]
  end
  return list
end

-- Whether the set that begins behind a bracket at p[at] has the character, and where the pattern goes on; nil: no set.
local function try_set(p, at, char)
  local negated <const> = p[at] == "!" or p[at] == "^"
  local first <const> = negated and at + 1 or at
  local last = first + 1
  while p[last] and p[last] ~= "]" do last = last + 1 end
  if not p[last] then return nil end
  local found = false
  at = first
  while at < last do
    local is_range <const> = p[at + 1] == "-" and at + 2 < last
    local to <const> = is_range and p[at + 2] or p[at]
    found = found or char ~= nil and p[at] <= char and char <= to
    at = at + (is_range and 3 or 1)
  end
  return char ~= nil and found ~= negated, last + 1
end

local function fits(p, at, n, from)
  local token <const>, char <const> = p[at], n[from]
  if token == nil then return char == nil end
  if token == "*" then
    return fits(p, at + 1, n, from) or char ~= nil and fits(p, at, n, from + 1)
  end
  if token == "?" then return char ~= nil and fits(p, at + 1, n, from + 1) end
  local in_set, behind
  if token == "[" then in_set, behind = try_set(p, at + 1, char) end
  if behind then return in_set and fits(p, behind, n, from + 1) end
  if token == "\\" and p[at + 1] then at = at + 1 end
  return char == p[at] and fits(p, at + 1, n, from + 1)
end

describe("fs.glob", function()
  it("finds what a plain matcher finds", function()
    local seed <const> = math.tointeger(os.getenv "GLOB_SEED") or os.time()
    math.randomseed(seed)
    local function pick(list) return list[math.random(#list)] end
    local function word(size)
      local parts = {}
      for i = 1, math.random(size) do parts[i] = pick(CHARS) end
      return table.concat(parts)
    end
    local dir <close> = assert(fs.temp_dir())
    local names = {}
    for _ = 1, 100 do
      local name <const> = word(5)
      if name ~= "." and name ~= ".." then
        assert(fs.write(dir.path .. "/" .. name, ""))
        names[name] = characters(name)
      end
    end
    for _ = 1, math.tointeger(os.getenv "GLOB_PATTERNS") or 300 do
      local parts = {}
      for i = 1, math.random(4) do parts[i] = math.random() < 0.5 and pick(SPECIAL) or pick(CHARS) end
      local pattern <const> = table.concat(parts)
      local shows_hidden <const> = pattern:find "^\\?%." ~= nil
      local found = {}
      if pattern ~= "**" and pattern ~= "." and pattern ~= ".." then
        for path in fs.glob(dir.path .. "/" .. pattern) do found[path:sub(#dir.path + 2)] = true end
        for name, chars in pairs(names) do
          local expected <const> = fits(characters(pattern), 1, chars, 1) and (shows_hidden or name:sub(1, 1) ~= ".")
          assert((found[name] or false) == expected,
            ("GLOB_SEED=%d: pattern %q, name %q: %s"):format(seed, pattern, name, found[name]))
        end
      end
    end
  end)
end)
