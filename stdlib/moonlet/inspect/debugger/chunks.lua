-- Chunks of the debugged program: files, and texts given to load(), which have numbers
-- (references). Finds the lines that have code.

local core = require "moonlet.inspect.debugger.core"
local lines = require "moonlet.inspect.debugger.lines"

local debug_getinfo, io_open = debug.getinfo, io and io.open
local package_loaded, globals = package.loaded, _G
local next, pairs, type, rawget, tostring = next, pairs, type, rawget, tostring
local string_sub, string_match, string_gmatch = string.sub, string.match, string.gmatch
local table_sort = table.sort

local chunks = {}

local texts = {} -- reference -> lua_Debug.source
local references = {} -- lua_Debug.source -> reference
local paths = {} -- lua_Debug.source of a file -> its absolute path

--- The source of a function, from its name in debug.getinfo(): {path, name}, {reference, name} or
-- {name}.
function chunks.source(source, short)
  local first = string_sub(source, 1, 1)
  if first == "@" then
    paths[source] = paths[source] or core.real_path(string_sub(source, 2))
    return { path = paths[source], name = string_match(source, "([^/@]*)$") }
  elseif first == "=" then
    return { name = string_sub(source, 2) }
  end
  if not references[source] then
    texts[#texts + 1] = source
    references[source] = #texts
  end
  return { reference = references[source], name = short }
end

--- All that were seen.
function chunks.list()
  local list = {}
  for source in pairs(paths) do list[#list + 1] = chunks.source(source) end
  for _, source in next, texts do
    list[#list + 1] = chunks.source(source, string_match(source, "^[^\n]*"))
  end
  return list
end

--- The text of a reference.
function chunks.text(reference)
  local text = texts[reference]
  if not text then return nil, "no such source" end
  return text
end

local function read(path)
  local file <close> = io_open and io_open(path, "rb")
  return file and file:read "a"
end

--- A name for the source, the same for the same file.
function chunks.key(source)
  return source.path and "@" .. core.real_path(source.path) or tostring(source.reference)
end

--- {path or source, functions}: `functions` is nil if its text cannot be read.
function chunks.open(source)
  local file = {}
  local text
  if source.path then
    file.path = core.real_path(source.path)
    text = read(file.path)
  else
    file.source = texts[source.reference]
    text = file.source
    if not text then file.message = "no such source" end
  end
  file.functions = text and lines.of_text(text)
  return file
end

--- The line at which a breakpoint stops, the functions that have code there (nil: not known), and
-- the reason if there is none.
function chunks.resolve(file, line)
  if file.message then return nil, nil, file.message end
  if not file.functions then return line end
  local found, owners = lines.resolve(file.functions, line)
  return found, owners, not found and "no code in this line, nor behind it" or nil
end

--- The lines with code from `first` to `last`.
function chunks.lines(file, first, last)
  local list, seen = {}, {}
  for _, one in next, file.functions or {} do
    for line in next, one.lines do
      if line >= first and line <= last and not seen[line] then
        seen[line] = true
        list[#list + 1] = line
      end
    end
  end
  table_sort(list)
  return list
end

local function walk(value, names)
  for part in string_gmatch(names, "[^.:]+") do
    value = type(value) == "table" and rawget(value, part) or nil
  end
  return value
end

-- The function that "a.b.c" names among the global variables, or in a loaded module, whose name may
-- have dots, too; or something else.
local function find(name)
  local value, module, rest = walk(globals, name), name, ""
  while type(value) ~= "function" and module do
    value = walk(rawget(package_loaded, module), rest)
    local shorter, last = string_match(module, "^(.*)[.:]([^.:]+)$")
    module, rest = shorter, last and last .. "." .. rest
  end
  return value
end

--- The place where a function begins: {path or source, line, owners}, or {message}.
function chunks.of_function(name)
  local value = find(name)
  if type(value) ~= "function" then return { message = "no function of that name yet" } end
  local about = debug_getinfo(value, "S")
  local functions = about.what ~= "C" and lines.functions(value)
  if not functions then return { message = "a function in C" } end
  local first
  for line in next, functions[1].lines do first = first and first < line and first or line end
  local is_file = string_sub(about.source, 1, 1) == "@"
  return { line = first, owners = { functions[1] }, is_function = true,
           path = is_file and core.real_path(string_sub(about.source, 2)) or nil,
           source = not is_file and about.source or nil }
end

return chunks
