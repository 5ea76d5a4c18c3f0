--- Where a database is: from a URL, a text of "key=value" or a table to attempts at connecting.
-- Names of hosts are looked up by moonlet, so that libpq, which would block, gets addresses.
-- @module moonlet.postgres.target

local pairs, tonumber, tostring, type = pairs, tonumber, tostring, type
local table_concat = table.concat

local core = require "moonlet.postgres.core"
local net = require "moonlet.net"

local target = {}

--- Reads what a script gives.
-- @treturn table the options of libpq; or nil, message, code
function target.parse(what)
  if type(what) == "string" then
    local options, message, code = core.parse(what)
    if options then return options end
    return nil, message:gsub("\n$", ""), code or "EURL"
  end
  local options = {}
  for name, value in pairs(what) do options[name] = tostring(value) end
  return options
end

local function split(text)
  local parts = {}
  for part in ((text or "") .. ","):gmatch "([^,]*)," do parts[#parts + 1] = part end
  return parts
end

-- What the server is told unless the script, or the environment, says otherwise. gssencmode: it
-- would look for tickets, in files and at servers, by calls that block.
local DEFAULTS = {
  client_encoding = "UTF8", fallback_application_name = "moonlet", gssencmode = "disable",
}

local ENVIRONMENT = { client_encoding = true, gssencmode = true }

local function with_defaults(options, environment)
  local all = {}
  for name, value in pairs(options) do all[name] = value end
  for name, value in pairs(DEFAULTS) do
    local is_set = ENVIRONMENT[name] and environment[name] and environment[name] ~= "prefer"
    if all[name] == nil and not is_set then all[name] = value end
  end
  return all
end

local function is_path(host)
  return host == "" or host:find "^[/@]" ~= nil
end

-- The addresses of a host; "" is left to libpq. Or nil, message, code.
local function addresses_of(host)
  if is_path(host) then return { "" } end
  local found, message, code = net.resolve(host)
  if not found then return nil, message, code end
  local addresses = {}
  for i = 1, #found do addresses[i] = found[i].host end
  return addresses
end

local function as_list(options, host, address, port)
  local list = {}
  for name, value in pairs(options) do
    if name ~= "host" and name ~= "hostaddr" and name ~= "port" then
      list[#list + 1] = name
      list[#list + 1] = value
    end
  end
  for name, value in pairs { host = host, hostaddr = address, port = port } do
    if value ~= "" then
      list[#list + 1] = name
      list[#list + 1] = value
    end
  end
  return list
end

-- ---- one attempt ----

-- libpq has SQLSTATE in its text only: FATAL:  28P01: password authentication failed
local function split_message(message)
  local text = message:gsub("\nLOCATION:[^\n]*", "")
  local before, code, rest = text:match "^(.-%u+:%s+)(%w%w%w%w%w): (.*)$"
  if not code or not code:find "^[%u%d]+$" then return text, "08001" end
  return before .. rest, code
end

-- Failures after which the next host is tried, as libpq does: not those of a server that has
-- refused this user.
local function is_next_tried(code)
  return code == "08001" or code == "57P03" or code == "53300" or code == "ETIMEDOUT" or
    code == "08006"
end

local function attempt(options, host, address, port, seconds)
  local raw, message, code = core.connect(as_list(options, host, address, port), seconds)
  if raw then return raw end
  if code == "ETIMEDOUT" then
    return nil, ("connection to %s: timeout"):format(host ~= "" and host or "the server"), code
  end
  if code ~= "08006" then return nil, message, code end
  return nil, split_message(message)
end

local function try_host(options, host, address, port, seconds)
  if address ~= "" then return attempt(options, host, address, port, seconds) end
  local addresses, message, code = addresses_of(host)
  if not addresses then return nil, ("%s: %s"):format(host, message), code end
  local raw
  for i = 1, #addresses do
    raw, message, code = attempt(options, host, addresses[i], port, seconds)
    if raw or not is_next_tried(code) then return raw, message, code end
  end
  return nil, message, code
end

-- ---- all hosts ----

-- Tries the hosts in their order. Of several failures all are told.
local function try_all(options, places, seconds)
  local messages, last = {}, "08001"
  for i = 1, places.count do
    local host, address = places.hosts[i] or "", places.addresses[i] or ""
    local port = places.ports[i] or places.ports[1] or ""
    local raw, message, code = try_host(options, host, address, port, seconds)
    if raw then return raw end
    messages[#messages + 1], last = message, code
    if not is_next_tried(code) and code ~= "ENOTFOUND" and code ~= "EDNS" then break end
  end
  return nil, table_concat(messages, "\n"), last
end

local function places_of(options, environment)
  local hosts = split(options.host or environment.host)
  local addresses = split(options.hostaddr or (options.host == nil and environment.hostaddr) or "")
  local count = #hosts > #addresses and #hosts or #addresses
  return {
    hosts = hosts, addresses = addresses, count = count,
    ports = split(options.port or environment.port),
  }
end

--- Connects.
-- @tparam table options of libpq
-- @tparam number seconds for each host; `connect_timeout` comes first
-- @return the core's connection; or nil, message, code
function target.connect(options, seconds)
  local environment, message, code = core.defaults()
  if not environment then return nil, message, code end
  local all = with_defaults(options, environment)
  local places = places_of(options, environment)
  local limit = tonumber(options.connect_timeout or environment.connect_timeout)
  if limit and limit > 0 then seconds = limit end
  local wanted = all.target_session_attrs or environment.target_session_attrs
  if wanted ~= "prefer-standby" then return try_all(all, places, seconds) end
  all.target_session_attrs = "standby"
  local raw = try_all(all, places, seconds)
  if raw then return raw end
  all.target_session_attrs = "any"
  return try_all(all, places, seconds)
end

return target
