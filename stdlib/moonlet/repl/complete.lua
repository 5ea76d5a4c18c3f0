--- Completion at the prompt: keywords, globals, fields, methods, names of modules.
-- Tables are read raw and through `__index` tables: no code of the values runs. Internal.
-- @module moonlet.repl.complete

local debug, ipairs, math, next = debug, ipairs, math, next
local package, rawget, table, type = package, rawget, table, type

local session = require "moonlet.repl.session"

local MOST = 200 -- candidates that are listed

local KEYWORDS = {}
for word in ([[and break do else elseif end false for function goto if in local nil not or repeat
  return then true until while]]):gmatch("%a+") do KEYWORDS[#KEYWORDS + 1] = word end

local IS_KEYWORD = {}
for _, word in ipairs(KEYWORDS) do IS_KEYWORD[word] = true end

-- Tables in which the fields of a value are found, the nearest first.
local function places_of(value)
  local places, seen = {}, {}
  while value ~= nil and not seen[value] do
    seen[value] = true
    if type(value) == "table" then places[#places + 1] = value end
    local meta = debug.getmetatable(value)
    value = type(meta) == "table" and rawget(meta, "__index") or nil
  end
  return places
end

local function field_of(value, name)
  for _, place in ipairs(places_of(value)) do
    local field = rawget(place, name)
    if field ~= nil then return field end
  end
  return nil
end

local function add(found, name)
  if not found[name] then
    found[name] = true
    found[#found + 1] = name
  end
end

-- Whether value.name can be typed.
local function is_name(name)
  return type(name) == "string" and name:find("^[%a_][%w_]*$") and not IS_KEYWORD[name]
end

local function add_fields(found, value, start, is_method)
  for _, place in ipairs(places_of(value)) do
    for name, field in next, place do
      local fits = is_name(name) and name:sub(1, #start) == start
      if fits and (not is_method or type(field) == "function") then add(found, name) end
    end
  end
end

-- ---- names of modules ----

local function is_internal(name)
  return name:find("^moonlet%.repl%.") or name:find("^moonlet%..*%.core$")
end

-- Modules in files of the directories that a path names; what stands before the last dot is a
-- directory.
local function add_files(found, path, start)
  local inside = start:match("^(.*)%.[^.]*$")
  for template in path:gmatch("[^;]+") do
    local directory, ending = template:match("^(.*)/%?(%.%w+)$")
    if directory then
      local whole = inside and directory .. "/" .. inside:gsub("%.", "/") or directory
      for _, file in ipairs(session.list_directory(whole) or {}) do
        local name = file:sub(-#ending) == ending and file:sub(1, -#ending - 1)
        if name and name:find("^[%w_-]+$") then
          name = inside and inside .. "." .. name or name
          if name:sub(1, #start) == start then add(found, name) end
        end
      end
    end
  end
end

local function modules(start)
  local found = {}
  for _, names in ipairs { package.preload, package.loaded } do
    for name in next, names do
      local fits = type(name) == "string" and name:sub(1, #start) == start
      if fits and not is_internal(name) then add(found, name) end
    end
  end
  for _, path in ipairs { package.path, package.cpath } do
    if type(path) == "string" then add_files(found, path, start) end
  end
  return found
end

-- ---- what can follow a text ----

local function names(path, start)
  local found, value = {}, _G
  if path == "" then
    for _, word in ipairs(KEYWORDS) do
      if word:sub(1, #start) == start then add(found, word) end
    end
  end
  for name in path:gmatch("[%a_][%w_]*") do value = field_of(value, name) end
  if value ~= nil then add_fields(found, value, start, path:sub(-1) == ":") end
  return found
end

-- Whether the text ends inside a string or a comment.
local function is_quoted(text)
  local quote
  text = text:gsub("\\.", "")
  for mark in text:gmatch("%-%-.*$") do
    if not mark:find("[\"']") then return true end
  end
  for mark in text:gmatch("[\"']") do
    if not quote then quote = mark elseif quote == mark then quote = nil end
  end
  return quote ~= nil
end

-- The names that fit, and the part of them that is there already.
local function candidates(text)
  local module = text:match("require%s*%(?%s*[\"']([%w_.-]*)$")
  if module then return modules(module), module end
  if is_quoted(text) then return {}, "" end
  local before, path, start = text:match("^(.-)([%w_.:]-)([%w_]*)$")
  if path:find("^[%d.:]") or before:find("[%]%)\"'}]$") and path ~= "" or start:find("^%d") then
    return {}, ""
  end
  return names(path, start), start
end

local function common_start(list)
  local first, last = list[1], list[#list]
  local length = 0
  while length < #first and first:byte(length + 1) == last:byte(length + 1) do
    length = length + 1
  end
  return first:sub(1, length)
end

-- In columns, read downwards.
local function listed(list, columns)
  local widest, lines = 0, {}
  local count = math.min(#list, MOST)
  for i = 1, count do widest = math.max(widest, #list[i]) end
  local across = math.max(columns // (widest + 2), 1)
  local rows = (count + across - 1) // across
  for row = 1, rows do
    local line = {}
    for i = row, count, rows do line[#line + 1] = list[i] .. (" "):rep(widest + 2 - #list[i]) end
    lines[row] = table.concat(line):gsub("%s+$", "")
  end
  if #list > count then lines[#lines + 1] = ("... %d more"):format(#list - count) end
  return table.concat(lines, "\n") .. "\n"
end

--- Completes.
-- @string text of the line before the cursor
-- @tparam integer columns the terminal's width
-- @treturn ?string text to insert; nil: nothing fits
-- @treturn ?string text to show below the line, when several fit and have no more in common
return function(text, columns)
  if not text:find("%S") then return "  " end
  local list, start = candidates(text)
  if #list == 0 then return nil end
  table.sort(list)
  local more = common_start(list):sub(#start + 1)
  if #list == 1 or more ~= "" then return more end
  return "", listed(list, columns)
end
