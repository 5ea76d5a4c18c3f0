--- What is wrong with the names, labels and options of a metric.
-- @module moonlet.inspect.metric_check

local math_type, next, tostring, type = math.type, next, tostring, type
local huge = math.huge
local utf8_length = utf8.len

local check = {}

-- Each function returns a text, or nil: nothing is wrong.

local MOST_BUCKETS = 200

local OPTIONS = {
  counter = { help = true, unit = true, limit = true },
  gauge = { help = true, unit = true, limit = true },
  histogram = { help = true, unit = true, limit = true, buckets = true },
}

local function quoted(value)
  return type(value) == "string" and ("'%s'"):format(value) or tostring(value)
end

function check.name(name)
  if type(name) ~= "string" then return "string expected, got " .. type(name) end
  if not name:find "^[A-Za-z_:][A-Za-z0-9_:]*$" then
    return ("'%s' is no name of a metric: letters, digits, '_' and ':' are"):format(name)
  end
  if name:find "^moonlet_" or name:find "^process_" then
    return ("names that begin with '%s' are the runtime's own"):format(name:match "^%l+_")
  end
end

function check.label(kind, name, value)
  if type(name) ~= "string" or not name:find "^[A-Za-z_][A-Za-z0-9_]*$" then
    return quoted(name) .. " is no name of a label: letters, digits and '_' are"
  end
  if name:find "^__" or kind == "histogram" and name == "le" then
    return ("the label name '%s' is reserved"):format(name)
  end
  local value_type = type(value)
  if value_type ~= "string" and value_type ~= "number" and value_type ~= "boolean" then
    local message = "the label '%s' is a %s; a string, a number or a boolean is a value"
    if value_type == "table" then message = message .. " (options are the next argument)" end
    return message:format(name, value_type)
  end
  if value_type == "string" and not utf8_length(value) then
    return ("the value of the label '%s' is not UTF-8"):format(name)
  end
end

local function problem_of_buckets(buckets)
  if type(buckets) ~= "table" then return "option 'buckets' must be a list of numbers" end
  if #buckets > MOST_BUCKETS then return "option 'buckets' has more than 200 numbers" end
  for i = 1, #buckets do
    local bound = buckets[i]
    local is_good = math_type(bound) and bound == bound and bound > -huge and bound < huge
    if not is_good then return "option 'buckets' must be a list of finite numbers" end
    if i > 1 and bound <= buckets[i - 1] then
      return ("option 'buckets' must ascend: %s comes behind %s"):format(bound, buckets[i - 1])
    end
  end
  for key in next, buckets do
    if math_type(key) ~= "integer" or key < 1 or key > #buckets then
      return "option 'buckets' must be a list of numbers"
    end
  end
  if #buckets == 0 then return "option 'buckets' must have a number" end
end

local function problem_of_unit(name, unit)
  if type(unit) ~= "string" or not unit:find "^[A-Za-z0-9_]+$" then
    return "option 'unit' must be a word, such as \"seconds\""
  end
  if name:gsub("_total$", ""):sub(-#unit - 1) ~= "_" .. unit then
    return ("the name of a metric in %s must end with '_%s'"):format(unit, unit)
  end
end

function check.options(kind, name, options)
  if type(options) ~= "table" then return "table expected, got " .. type(options) end
  for key in next, options do
    if not OPTIONS[kind][key] then return ("unknown option '%s'"):format(tostring(key)) end
  end
  local help, unit, limit, buckets = options.help, options.unit, options.limit, options.buckets
  if help ~= nil and (type(help) ~= "string" or not utf8_length(help)) then
    return "option 'help' must be a text in UTF-8"
  end
  if limit ~= nil and (math_type(limit) ~= "integer" or limit < 1) then
    return "option 'limit' must be a positive integer"
  end
  local problem = unit ~= nil and problem_of_unit(name, unit) or nil
  return problem or buckets ~= nil and problem_of_buckets(buckets) or nil
end

return check
