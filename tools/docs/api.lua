--- The interface as the sources describe it: the Lua modules by their doc comments, which LDoc reads (config.ld), and
-- the C functions by the comments of runtime/moonlet.h.

local api = {}

local function by_name(a, b) return a.name < b.name end

-- What is written as "Type:method" goes to the object of that name.
local function arrange(module)
  local functions, objects, values, object_of = {}, {}, {}, {}
  for _, item in ipairs(module.items) do
    if item.kind == "object" then
      object_of[item.name] = item
      item.methods = {}
      table.insert(objects, item)
    elseif item.kind ~= "function" then
      table.insert(values, item)
    end
  end
  for _, item in ipairs(module.items) do
    local object, method = item.name:match "^(.+):(.+)$"
    if object then
      local owner = assert(object_of[object], ("%s: %s has no @object"):format(module.name, item.name))
      item.name = method
      table.insert(owner.methods, item)
    elseif item.kind == "function" then
      table.insert(functions, item)
    end
  end
  for _, list in ipairs { functions, objects, values } do table.sort(list, by_name) end
  for _, object in ipairs(objects) do table.sort(object.methods, by_name) end
  return { name = module.name, text = module.text, functions = functions, objects = objects, values = values }
end

--- The public modules, by name.
-- @treturn {table,...} name, text; functions, values: lists of {name=, text=, parameters=, results=}; objects: lists of
-- the same with methods
function api.modules()
  local pipe <close> = assert(io.popen "LUA_PATH='tools/docs/?.lua;;' ldoc --filter model.write . 2>&1")
  local output = pipe:read "a"
  local list = assert(load(output, "=LDoc's output", "t", {}), output)()
  for i, module in ipairs(list) do list[i] = arrange(module) end
  table.sort(list, by_name)
  return list
end

-- ---- the C header ----

local function strip_comment(text)
  return (text:gsub("^/%*", ""):gsub("%s*%*/$", ""):gsub("\n %* ?", "\n"):gsub("\n +", "\n"):gsub("^%s+", ""))
end

-- Paragraphs: a blank line ends one, unless it is inside of a comment.
local function paragraphs(text)
  local list, lines, in_comment = {}, {}, false
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do
    if line == "" and not in_comment then
      if #lines > 0 then table.insert(list, table.concat(lines, "\n")) end
      lines = {}
    else
      table.insert(lines, line)
      local rest = line:match ".*(/%*.*)$" or in_comment and line or ""
      in_comment = rest ~= "" and not rest:find("*/", 1, true)
    end
  end
  return list
end

--- What a header declares, paragraph by paragraph: a comment and what is declared below it.
-- @tparam string text of the header
-- @treturn {table,...} title (of a section that begins there), text, code, functions (a list of names)
function api.header(text)
  local list = {}
  for _, paragraph in ipairs(paragraphs(text)) do
    local comment = paragraph:match "^/%*.-%*/" or ""
    local code = paragraph:sub(#comment + 1):gsub("^\n", ""):gsub("^#[ie].*", "")
    local title, rest = comment:match "^/%* %-+ (.-) %-+(.*)$"
    local functions = {}
    for name in code:gmatch "MOONLET_API [^(]-(moonlet_[%w_]+)%(" do table.insert(functions, name) end
    if comment .. code ~= "" then
      table.insert(list, { title = title, text = strip_comment(rest or comment), code = code, functions = functions })
    end
  end
  return list
end

return api
