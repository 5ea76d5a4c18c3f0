--- The pages of the reference, in Markdown. A heading that ends in {#id} has that id on the site.

local pages = {}

-- A text with what Markdown would take for itself escaped, and then link(text) for what is not `code`.
local function outside_code(text, link)
  return ((text .. "``"):gsub("([^`]*)(`[^`]*`)", function(prose, code)
    return link(prose:gsub("[*<%[]", "\\%0")) .. code
  end):sub(1, -3))
end

local function short(module) return module.name:match "[^.]+$" end

-- Where names such as "net.connect" and "stream:close" are described.
local function find_targets(modules)
  local targets = {}
  for _, module in ipairs(modules) do
    local page = short(module) .. ".md#"
    for _, item in ipairs(module.functions) do
      local name = short(module) .. "." .. item.name
      targets[name] = page .. name
    end
    for _, object in ipairs(module.objects) do
      targets[object.name] = page .. object.name
      for _, item in ipairs(object.methods) do
        local name = object.name .. ":" .. item.name
        targets[name] = page .. name
      end
    end
  end
  return targets
end

local function prose(text, targets)
  return outside_code(text, function(part)
    return (part:gsub("%f[%w](%a+[.:][%l_]+)%f[^%w_]", function(name)
      return targets[name] and ("[%s](%s)"):format(name, targets[name])
    end))
  end)
end

local function type_name(text, targets)
  local parts = {}
  for part in text:gsub("^%?(.*)", "%1|nil"):gmatch "[^|]+" do
    local target
    for word in part:gmatch "%a+" do target = target or targets[word] end
    table.insert(parts, target and ("[`%s`](%s)"):format(part, target) or ("`%s`"):format(part))
  end
  return table.concat(parts, " or ")
end

local function cell(text) return (text:gsub("\n+", " "):gsub("|", "\\|")) end

local function signature(prefix, item)
  local parts = {}
  for _, parameter in ipairs(item.parameters) do
    if not parameter.name:find "%w%." then
      table.insert(parts, parameter.default and ("[%s]"):format(parameter.name) or parameter.name)
    end
  end
  return ("%s%s(%s)"):format(prefix, item.name, table.concat(parts, ", "))
end

local function add_parameters(add, list, targets)
  if #list == 0 then return end
  add "| | | |\n|---|---|---|\n"
  for _, parameter in ipairs(list) do
    local text = prose(parameter.text, targets)
    if type(parameter.default) == "string" then text = ("%s (default `%s`)"):format(text, parameter.default) end
    add(("| `%s` | %s | %s |\n"):format(parameter.name,
      cell(type_name(parameter.type or "any", targets)), cell(text)))
  end
  add "\n"
end

local function add_function(add, prefix, item, targets)
  add(("### `%s` {#%s%s}\n\n%s\n\n"):format(signature(prefix, item), prefix, item.name, prose(item.text, targets)))
  add_parameters(add, item.parameters, targets)
  for i, result in ipairs(item.results) do
    add(("%s%s%s  \n"):format(i == 1 and "Returns " or result.is_second and "or " or "and then ",
      result.type and type_name(result.type, targets) .. " " or "", prose(result.text, targets):gsub("\n+", " ")))
  end
  add "\n"
end

-- The names of functions, each a link to its place in the page.
local function add_names(add, title, list, prefix)
  if #list == 0 then return end
  local links = {}
  for i, item in ipairs(list) do links[i] = ("[%s](#%s)"):format(item.name, prefix .. item.name) end
  add(("%s: %s\n\n"):format(title, table.concat(links, ", ")))
end

local function module_page(module, targets)
  local parts = {}
  local function add(text) table.insert(parts, text) end
  local name = short(module)
  add(("# %s\n\n%s\n\n"):format(module.name, prose(module.text, targets)))
  add_names(add, "Functions", module.functions, name .. ".")
  for _, object in ipairs(module.objects) do
    add_names(add, ("Of [%s](#%s)"):format(object.name, object.name), object.methods, object.name .. ":")
  end
  if #module.functions > 0 then add "## Functions\n\n" end
  for _, item in ipairs(module.functions) do add_function(add, name .. ".", item, targets) end
  for _, item in ipairs(module.values) do
    add(("### `%s.%s` {#%s.%s}\n\n%s\n\n"):format(name, item.name, name, item.name, prose(item.text, targets)))
  end
  for _, object in ipairs(module.objects) do
    add(("## %s {#%s}\n\n%s\n\n"):format(object.name, object.name, prose(object.text, targets)))
    add_parameters(add, object.parameters, targets)
    for _, item in ipairs(object.methods) do add_function(add, object.name .. ":", item, targets) end
  end
  return table.concat(parts)
end

--- A page for each module.
-- @tparam table modules of api.modules()
-- @treturn {table,...} name of the file without its end, text
function pages.of_modules(modules)
  local targets, list = find_targets(modules), {}
  for i, module in ipairs(modules) do list[i] = { name = short(module), text = module_page(module, targets) } end
  return list
end

--- The page of the C interface.
-- @tparam table paragraphs of api.header()
-- @treturn string
function pages.of_header(paragraphs)
  local parts, is_known = { "# moonlet.h\n\n" }, {}
  for _, paragraph in ipairs(paragraphs) do
    for _, name in ipairs(paragraph.functions) do is_known[name] = true end
  end
  for _, paragraph in ipairs(paragraphs) do
    local functions = paragraph.functions
    if paragraph.title then table.insert(parts, ("## %s\n\n"):format(paragraph.title:gsub("^%l", string.upper))) end
    for _, name in ipairs(functions) do table.insert(parts, ("### %s {#%s}\n\n"):format(name, name)) end
    local text = outside_code(paragraph.text, function(part)
      return (part:gsub("(moonlet_[%w_]+)%(%)", function(name)
        return is_known[name] and ("[%s()](#%s)"):format(name, name)
      end))
    end)
    table.insert(parts, text .. "\n\n")
    if paragraph.code ~= "" then
      table.insert(parts, ("```c\n%s\n```\n\n"):format(paragraph.code:gsub("MOONLET_API ", "")))
    end
  end
  return table.concat(parts)
end

return pages
