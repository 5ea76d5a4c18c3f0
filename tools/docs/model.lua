-- What LDoc has found in the doc comments, as a Lua table on standard output, for api.lua. Runs inside LDoc, in
-- whichever Lua that uses: `ldoc --filter model.write .`

local function clean(text)
  return ((text or ""):gsub("[ \t]*\n *", "\n"):gsub("\n%s*\n", "\n\n"):gsub("^%s+", ""):gsub("%s+$", ""))
end

-- The parameters of a function, or the fields of an object, in order; those of an options table as "opts.name".
local function read_parameters(item)
  local list = {}
  local function add(name)
    local modifiers = item:param_modifiers(name) or {}
    table.insert(list, {
      name = name, type = modifiers.type, text = clean(item.params.map[name]),
      default = modifiers.opt or modifiers.optchain, -- true: optional, without one that could be said
    })
  end
  for _, name in ipairs(item.params or {}) do
    add(name)
    for _, field in ipairs(item.subparams[name] or {}) do add(field) end
  end
  return list
end

local function read_results(item)
  local list = {}
  for i, text in ipairs(item.ret or {}) do
    local modifiers = item.modifiers["return"][i]
    list[i] = { type = modifiers.type, text = clean(text), is_second = modifiers["2"] }
  end
  return list
end

local function read_text(item)
  return clean((item.summary or "") .. (item.description or ""))
end

local function read_module(module)
  local items = {}
  for item in module.items:iter() do
    table.insert(items, {
      name = item.name, kind = item.type, text = read_text(item),
      parameters = read_parameters(item), results = read_results(item),
    })
  end
  return { name = module.name, text = read_text(module), items = items }
end

local function write(value)
  if type(value) == "string" then return ("%q"):format(value) end
  if type(value) ~= "table" then return tostring(value) end
  local parts = {}
  for key, item in pairs(value) do
    table.insert(parts, ("[%s]=%s"):format(write(key), write(item)))
  end
  return "{" .. table.concat(parts, ",") .. "}"
end

return {
  write = function(modules)
    local list = {}
    for module in modules:iter() do table.insert(list, read_module(module)) end
    print("return " .. write(list))
  end,
}
