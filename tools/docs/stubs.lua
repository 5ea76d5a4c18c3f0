--- Stubs for editors, as LuaCATS has them, of what api.modules() gives.

local stubs = {}

local function short(module) return module.name:match "[^.]+$" end

-- Names of the types as the doc comments have them -> as editors know them.
local function find_types(modules)
  local types = { cfunction = "function", ["file*"] = "file*" }
  for _, module in ipairs(modules) do
    for _, object in ipairs(module.objects) do types[object.name] = module.name .. "." .. object.name end
  end
  return types
end

-- "Task,name" -> "task: moonlet.task.Task, name"
local function arguments_of(text, types)
  local list = {}
  for argument in text:gmatch "[^,%s]+" do
    local kind = types[argument]
    list[#list + 1] = kind and ("%s: %s"):format(argument:lower(), kind) or argument
  end
  return table.concat(list, ", ")
end

-- "{string,...}" -> "string[]"; "function(Task)" -> "fun(task: moonlet.task.Task)"
local function simple_type_of(text, types)
  local item = text:match "^{(.+),%.%.%.}$"
  if item then return (types[item] or item) .. "[]" end
  local argument, result = text:match "^function%((.*)%):?(.*)$"
  if not argument then return types[text] or text end
  return ("fun(%s)%s"):format(arguments_of(argument, types),
    result ~= "" and ": " .. (types[result] or result) or "")
end

-- "?stream|string" -> "moonlet.net.stream|string|nil"
local function type_of(text, types)
  if not text then return "any" end
  local parts = {}
  for part in text:gsub("^%?", ""):gmatch "[^|]+" do table.insert(parts, simple_type_of(part, types)) end
  if text:find "^%?" then table.insert(parts, "nil") end
  return table.concat(parts, "|")
end

local function one_line(text) return (text:gsub("\n+", " ")) end

local function comment(add, text)
  for line in (text .. "\n"):gmatch "([^\n]*)\n" do add("---" .. line) end
end

-- What the world does is returned as nil, a message and a code, in place of the first results.
local function results_of(item, types)
  local list, may_fail = {}, false
  for _, result in ipairs(item.results) do
    if not result.is_second then
      local kind = type_of(result.type, types)
      table.insert(list, { type = kind, text = one_line(result.text), is_list = not result.type })
    end
    may_fail = may_fail or result.text:find "nil, [%l\"]" ~= nil
  end
  if not may_fail or list[1].is_list then return list end
  list[1].type = list[1].type .. "|nil"
  for i, name in ipairs { "message", "code" } do
    local result = list[i + 1] or { text = name }
    result.type = (result.type and result.type:gsub("|nil$", "") .. "|" or "") .. "string|nil"
    list[i + 1] = result
  end
  return list
end

-- spawn([opts,] fn, ...), connect("unix:/path"[, opts]): what may be left out though something follows.
local function may_be_left_out(parameter, following)
  if not following or not parameter.default then return false end
  local is_options = parameter.kind == "table" or parameter.kind:find "%.options$"
  return parameter.name == "port" or is_options and following.kind:find "^fun"
end

-- "opts?: table, fn: function, ...: any", without the parameter of that number.
local function list_without(parameters, number)
  local list = {}
  for i, parameter in ipairs(parameters) do
    local mark = parameter.default and parameter.name ~= "..." and "?" or ""
    if i ~= number then table.insert(list, ("%s%s: %s"):format(parameter.name, mark, parameter.kind)) end
  end
  return table.concat(list, ", ")
end

-- Other ways to call it; the second group of results is what comes back without the last parameter.
local function add_overloads(add, item, parameters, results, self, types)
  local kinds = {}
  for i, result in ipairs(results) do kinds[i] = result.is_list and "..." or result.type end
  local function add_overload(number, result)
    local list = (self and "self: " .. self .. ", " or "") .. list_without(parameters, number)
    add(("---@overload fun(%s): %s"):format(list, result))
  end
  for i, parameter in ipairs(parameters) do
    if may_be_left_out(parameter, parameters[i + 1]) then add_overload(i, table.concat(kinds, ", ")) end
  end
  for _, result in ipairs(item.results) do
    if result.is_second then add_overload(#parameters, type_of(result.type, types)) end
  end
end

local function add_options(add, class, parameters, types)
  local is_begun = false
  for _, parameter in ipairs(parameters) do
    local name = parameter.name:match "%w%.(.+)$"
    if name and not is_begun then add("---@class " .. class) end
    if name then
      is_begun = true
      add(("---@field %s%s %s %s"):format(name, parameter.default and "?" or "", type_of(parameter.type, types),
        one_line(parameter.text)))
    end
  end
  if is_begun then add "" end
  return is_begun
end

-- The parameters themselves; the type of an options table is the class of its fields.
local function parameters_of(item, options, types)
  local list, names = {}, {}
  for _, parameter in ipairs(item.parameters) do
    if not parameter.name:find "%w%." then
      local kind = options and parameter.type == "table" and options or type_of(parameter.type, types)
      table.insert(names, parameter.name)
      table.insert(list, { name = parameter.name, kind = kind, default = parameter.default,
        text = one_line(parameter.text) })
    end
  end
  return list, table.concat(names, ", ")
end

local function add_function(add, owner, class, item, types, is_method)
  local options = ("%s.%s.options"):format(class, item.name)
  local has_options = add_options(add, options, item.parameters, types)
  local parameters, names = parameters_of(item, has_options and options, types)
  local results = results_of(item, types)
  comment(add, item.text)
  for _, parameter in ipairs(parameters) do
    local mark = parameter.default and parameter.name ~= "..." and "?" or ""
    add(("---@param %s%s %s %s"):format(parameter.name, mark, parameter.kind, parameter.text))
  end
  for _, result in ipairs(results) do
    add(("---@return %s%s %s"):format(result.type, result.is_list and " ..." or "",
      result.text ~= "" and "# " .. result.text or ""))
  end
  add_overloads(add, item, parameters, results, is_method and class, types)
  add(("function %s%s%s(%s) end\n"):format(owner, is_method and ":" or ".", item.name, names))
end

local function add_object(add, module, object, types)
  local class = module.name .. "." .. object.name
  comment(add, object.text)
  add("---@class " .. class)
  for _, field in ipairs(object.parameters) do
    add(("---@field %s %s %s"):format(field.name, type_of(field.type, types), one_line(field.text)))
  end
  add(("local %s = {}\n"):format(object.name))
  for _, item in ipairs(object.methods) do add_function(add, object.name, class, item, types, true) end
end

local function text_of(module, types, submodules)
  local lines, name = {}, short(module)
  local function add(line) table.insert(lines, (line:gsub(" +$", ""))) end
  add("---@meta " .. module.name .. "\n")
  for _, object in ipairs(module.objects) do add_object(add, module, object, types) end
  comment(add, module.text)
  add("---@class " .. module.name)
  for _, submodule in ipairs(submodules) do add(("---@field %s %s"):format(short(submodule), submodule.name)) end
  add(("local %s = {}\n"):format(name))
  for _, item in ipairs(module.values) do
    comment(add, item.text)
    add(("%s.%s = {}\n"):format(name, item.name))
  end
  for _, item in ipairs(module.functions) do add_function(add, name, module.name, item, types, false) end
  add(("return %s"):format(name))
  return table.concat(lines, "\n") .. "\n"
end

--- A stub for each module.
-- @tparam table modules of api.modules()
-- @treturn {table,...} path, as require looks for it; text
function stubs.of(modules)
  local types, list = find_types(modules), {}
  for i, module in ipairs(modules) do
    local submodules = {}
    for _, other in ipairs(module.name == "moonlet" and modules or {}) do
      if other ~= module then table.insert(submodules, other) end
    end
    list[i] = { path = module.name:gsub("%.", "/") .. ".lua", text = text_of(module, types, submodules) }
  end
  return list
end

return stubs
