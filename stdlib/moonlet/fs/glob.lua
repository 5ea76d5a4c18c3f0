--- Paths that fit a pattern, found step by step.
-- @submodule moonlet.fs

local error, ipairs, type = error, ipairs, type
local sort = table.sort

local core = require "moonlet.fs.core"

-- ---- patterns ----

-- One character of UTF-8, or a byte that belongs to none.
local ANY = "[^\x80-\xBF][\x80-\xBF]*"

-- The characters of a text.
local function characters(text)
  local list = {}
  for char in text:gmatch "[^\x80-\xBF]?[\x80-\xBF]*" do
    if char ~= "" then list[#list + 1] = char end
  end
  return list
end

-- The set in brackets whose first character is chars[at], as a token, and the place behind it; nil:
-- it has no end, and the bracket stands for itself.
local function read_set(chars, at)
  local is_negated = chars[at] == "!" or chars[at] == "^"
  if is_negated then at = at + 1 end
  local last = at + 1
  while chars[last] and chars[last] ~= "]" do last = last + 1 end
  if not chars[last] then return nil end
  local set = { is_negated = is_negated }
  while at < last do
    local is_range = chars[at + 1] == "-" and at + 2 < last
    set[#set + 1] = { chars[at], chars[is_range and at + 2 or at] }
    at = at + (is_range and 3 or 1)
  end
  return set, last + 1
end

local STAR, ANY_ONE = {}, {}

-- A segment of a pattern as a list: a character, STAR, ANY_ONE or a set; and whether it has
-- anything special, and a set.
local function tokens_of(text)
  local chars, tokens, at = characters(text), {}, 1
  local is_special, has_set = false, false
  while at <= #chars do
    local char, set, behind = chars[at], nil, nil
    if char == "[" then set, behind = read_set(chars, at + 1) end
    local is_escaped = char == "\\" and at < #chars
    local token = set or char == "*" and STAR or char == "?" and ANY_ONE or false
    if is_escaped then at = at + 1 end
    tokens[#tokens + 1] = token or chars[at]
    is_special, has_set = is_special or token ~= false, has_set or set ~= nil
    at = behind or at + 1
  end
  return tokens, is_special, has_set
end

-- A segment without sets as the pieces between its stars, each a Lua pattern. So a name is matched
-- by one search for each piece, without going back.
local function pieces_of(tokens)
  local pieces, piece = {}, ""
  for _, token in ipairs(tokens) do
    if token == STAR then
      pieces[#pieces + 1], piece = piece, ""
    else
      piece = piece .. (token == ANY_ONE and ANY or token:gsub("%p", "%%%0"))
    end
  end
  pieces[#pieces + 1] = piece
  return pieces
end

local function fits(char, token)
  if type(token) == "string" or token == ANY_ONE then return token == ANY_ONE or token == char end
  for _, range in ipairs(token) do
    if range[1] <= char and char <= range[2] then return not token.is_negated end
  end
  return token.is_negated
end

-- Goes back to the last star only: what stars before it have taken need not change.
local function matches_tokens(name, tokens)
  local chars, at, index, star, from = characters(name), 1, 1, nil, nil
  while at <= #chars do
    local token = tokens[index]
    if token == STAR then
      star, from, index = index, at, index + 1
    elseif token and fits(chars[at], token) then
      at, index = at + 1, index + 1
    elseif star then
      from = from + 1
      at, index = from, star + 1
    else
      return false
    end
  end
  while tokens[index] == STAR do index = index + 1 end
  return index > #tokens
end

local function matches_pieces(name, pieces)
  local count = #pieces
  if count == 1 then return name:find("^" .. pieces[1] .. "$") ~= nil end
  local _, last = name:find("^" .. pieces[1])
  for i = 2, count - 1 do
    if not last then return false end
    _, last = name:find(pieces[i], last + 1)
  end
  return last ~= nil and name:find(pieces[count] .. "$", last + 1) ~= nil
end

local function matches(name, segment)
  if segment.pieces then return matches_pieces(name, segment.pieces) end
  return matches_tokens(name, segment.tokens)
end

-- The segments of a pattern: { text= } for a name as it is, { pieces=, hidden= } or { tokens=,
-- hidden= }, { deep=true }.
local function segments_of(pattern)
  local list = {}
  for text in pattern:gmatch "[^/]+" do
    if text == "**" then
      if not (list[#list] or {}).deep then list[#list + 1] = { deep = true } end
    else
      local tokens, is_special, has_set = tokens_of(text)
      list[#list + 1] = is_special and {
        tokens = tokens,
        pieces = not has_set and pieces_of(tokens) or nil,
        hidden = tokens[1] == ".",
      } or { text = text:gsub("\\(.)", "%1") }
    end
  end
  if (list[#list] or {}).deep then list[#list + 1] = { pieces = { "", "" } } end
  return list
end

-- ---- the search ----

local function ignore() end

-- What is in a directory, in the order of the names: names, and name -> type.
local function entries(dir)
  local names, types = {}, {}
  for path, kind in core.walk(dir == "" and "." or dir, { depth = 1, on_error = ignore }) do
    local name = path:match "[^/]*$"
    names[#names + 1], types[name] = name, kind
  end
  sort(names)
  return names, types
end

local function join(dir, name)
  if dir == "" or dir:sub(-1) == "/" then return dir .. name end
  return dir .. "/" .. name
end

-- Adds to the stack, so that the first is taken first.
local function push_all(stack, list)
  for i = #list, 1, -1 do stack[#stack + 1] = list[i] end
end

-- One step into a directory: { dir, index of the segment }, or a path that was found.
local function expand(search, dir, index)
  local segment, found = search.segments[index], {}
  local is_last = index == #search.segments
  if segment.text then
    local path = join(dir, segment.text)
    found[1] = is_last and { path, is_found = true, is_unsure = true } or { path, index + 1 }
    return push_all(search.stack, found)
  end
  if segment.deep then found[1] = { dir, index + 1 } end
  local names, types = entries(dir)
  for _, name in ipairs(names) do
    local is_shown, kind = name:sub(1, 1) ~= "." or segment.hidden, types[name]
    local path = join(dir, name)
    if segment.deep then
      if is_shown and kind == "directory" then found[#found + 1] = { path, index } end
    elseif is_shown and matches(name, segment) then
      if is_last then
        found[#found + 1] = { path, is_found = true, is_unsure = search.wants_directory }
      elseif kind == "directory" or kind == "link" then
        found[#found + 1] = { path, index + 1 }
      end
    end
  end
  push_all(search.stack, found)
end

-- Whether what was found is there, and is what the pattern asks for.
local function is_there(search, path)
  local status
  if search.wants_directory then
    status = core.stat(path)
  else
    status = core.lstat(path)
  end
  return status and (not search.wants_directory or status.type == "directory")
end

local function next_path(search)
  local stack = search.stack
  while stack[1] do
    local item = stack[#stack]
    stack[#stack] = nil
    if not item.is_found then
      expand(search, item[1], item[2])
    elseif not item.is_unsure or is_there(search, item[1]) then
      return search.wants_directory and item[1] .. "/" or item[1]
    end
  end
end

local glob = {}

--- Iterates over the paths that fit a pattern, in the order of their names. `*` stands for any
-- number of characters of a name, `?` for one, `[a-z]` and `[!a-z]` for one of a set; `**` for any
-- number of directories, also none, but not for links; a backslash takes the next character as it
-- is. A dot at the begin of a name is only found by a dot. With a slash at the end only directories
-- are found. What cannot be read is passed over. May wait, in each step.
--
--     for path in fs.glob "src/**/*.c" do print(path) end
--
-- @function glob
-- @tparam string pattern
-- @treturn function():string an iterator
function glob.glob(pattern)
  if type(pattern) ~= "string" then
    local got = pattern == nil and "no value" or type(pattern)
    error(("bad argument #1 to 'glob' (string expected, got %s)"):format(got), 2)
  end
  if pattern:find("\0", 1, true) then
    error("bad argument #1 to 'glob' (the path has a zero byte)", 2)
  end
  local root = pattern:match "^/+" and "/" or ""
  local search = {
    segments = segments_of(pattern), stack = {}, wants_directory = pattern:find "[^/]/+$" ~= nil,
  }
  if search.segments[1] then
    search.stack[1] = { root, 1 }
  elseif root ~= "" then
    search.stack[1] = { root, is_found = true }
  end
  return next_path, search
end

return glob
