--- A jar of cookies, by RFC 6265. For moonlet's own modules: `http.client{cookies=true}` has one.
-- @module moonlet.http.cookies

local math = math
local getmetatable, ipairs, next, pairs = getmetatable, ipairs, next, pairs
local setmetatable = setmetatable
local tonumber, type = tonumber, type
local table_concat, table_sort, table_unpack = table.concat, table.sort, table.unpack
local io_open = io and io.open
local os_time = os.time

local cookie_date = require("moonlet.http.client.core").cookie_date

local cookies = {}

-- Cookies of one jar, of one domain, and bytes of one cookie.
local TOTAL, PER_DOMAIN, SIZE = 3000, 180, 4096

-- ---- public suffixes ----

local SUFFIX_FILES = {
  "/usr/share/publicsuffix/public_suffix_list.dat",
  "/usr/share/publicsuffix/effective_tld_names.dat",
}

local rules -- suffix -> true, "*" or "!"; false: no list is there

local function read_rules()
  for _, path in ipairs(io_open and SUFFIX_FILES or {}) do
    local file = io_open(path, "r")
    if file then
      local found = {}
      for line in file:lines() do
        local kind, name = line:match "^([!*]?)%.?([^%s/]%S*)"
        if name and not line:find("^//") then
          found[name] = kind == "" and (found[name] or true) or kind
        end
      end
      file:close()
      return found
    end
  end
  return false
end

--- Whether names under `domain` belong to different owners, so that no cookie may be for it.
-- Without the distribution's list every name without a dot does.
-- @tparam string domain in lower case
-- @treturn boolean
function cookies.is_public_suffix(domain)
  if rules == nil then rules = read_rules() end
  if not domain:find(".", 1, true) then return true end
  if not rules then
    return domain:match "^[^.]+%.%a%a$" ~= nil and domain:match "^%a%a%a?%." ~= nil
  end
  if rules[domain] == "!" then return false end
  if rules[domain] then return true end
  return rules[domain:match "^[^.]+%.(.*)$"] == "*"
end

-- ---- one cookie ----

local function is_address(host)
  return host:find(":", 1, true) ~= nil or host:match "^[%d.]+$" ~= nil
end

local function domain_matches(host, domain)
  if host == domain then return true end
  return #host > #domain and host:sub(-#domain - 1) == "." .. domain and not is_address(host)
end

local function path_matches(path, prefix)
  if path == prefix then return true end
  return path:sub(1, #prefix) == prefix
    and (prefix:sub(-1) == "/" or path:sub(#prefix + 1, #prefix + 1) == "/")
end

local function trim(text) return text:match "^[ \t]*(.-)[ \t]*$" end

local function default_path(path)
  if path:sub(1, 1) ~= "/" then return "/" end
  local found = path:match "^(.*)/[^/]*$"
  return found == "" and "/" or found
end

local function read_attributes(text, cookie)
  for attribute in text:gmatch "[^;]+" do
    local name, value = attribute:match "^([^=]*)=?(.*)$"
    name, value = trim(name):lower(), trim(value)
    if name == "expires" then
      cookie.date = cookie_date(value) or cookie.date
    elseif name == "max-age" and value:match "^%-?%d+$" then
      cookie.max_age = tonumber(value)
    elseif name == "domain" and value ~= "" then
      cookie.domain = value:gsub("^%.", ""):lower()
    elseif name == "path" then
      cookie.path = value:sub(1, 1) == "/" and value or nil
    elseif name == "secure" then
      cookie.secure = true
    elseif name == "httponly" then
      cookie.http_only = true
    end
  end
end

--- Reads a Set-Cookie line.
-- @tparam string line
-- @treturn ?table name, value and the attributes as they stand
function cookies.parse(line)
  if #line > SIZE or line:find "[%z\1-\8\10-\31\127]" then return nil end
  local pair, rest = line:match "^([^;]*);?(.*)$"
  local name, value = pair:match "^([^=]*)=(.*)$"
  if not name then return nil end
  local cookie = { name = trim(name), value = trim(value) }
  if cookie.name == "" then return nil end
  read_attributes(rest, cookie)
  return cookie
end

-- ---- the jar ----

--- Cookies of one client.
-- @object Jar
local Jar = {}
Jar.__index = Jar
Jar.__name = "cookie_jar"

--- Makes a jar.
-- @tparam[opt] function now seconds since 1970
-- @treturn Jar
function cookies.new(now)
  return setmetatable({ by_domain = {}, count = 0, made = 0, now = now or os_time }, Jar)
end

function Jar:__tostring() return ("http.cookies (%d cookies)"):format(self.count) end

local function remove(self, domain, key)
  local list = self.by_domain[domain]
  if list and list[key] then
    list[key] = nil
    self.count = self.count - 1
    if not next(list) then self.by_domain[domain] = nil end
  end
end

-- Removes those that are over, then the oldest, until there is room.
local function make_room(self, domain)
  local now, all, of_domain = self.now(), {}, {}
  for name, list in pairs(self.by_domain) do
    for key, cookie in pairs(list) do
      if cookie.expires <= now then
        remove(self, name, key)
      else
        local entry = { cookie.made, name, key }
        all[#all + 1] = entry
        if name == domain then of_domain[#of_domain + 1] = entry end
      end
    end
  end
  local function older(a, b) return a[1] < b[1] end
  local function shrink(list, most)
    table_sort(list, older)
    for i = 1, #list - most do remove(self, table_unpack(list[i], 2)) end
  end
  if #of_domain >= PER_DOMAIN then shrink(of_domain, PER_DOMAIN * 9 // 10) end
  if self.count >= TOTAL then shrink(all, TOTAL * 9 // 10) end
end

local function size_of(list)
  local count = 0
  for _ in pairs(list or {}) do count = count + 1 end
  return count
end

-- The domain that a cookie from the host is for, and whether it is for that host only; nil: it is
-- refused.
local function scope_of(cookie, host)
  local domain = cookie.domain
  if not domain or domain == host then
    return host, domain == nil or is_address(host) or cookies.is_public_suffix(host)
  end
  if cookies.is_public_suffix(domain) or not domain_matches(host, domain) then return nil end
  return domain, false
end

--- Takes a Set-Cookie line that a server at the URL sent.
-- @tparam string line
-- @tparam string scheme
-- @tparam string host
-- @tparam string path
-- @treturn boolean whether it was taken
function Jar:set(line, scheme, host, path)
  local cookie = cookies.parse(line)
  if not cookie then return false end
  host = host:lower()
  local is_secure = scheme == "https"
  local domain, host_only = scope_of(cookie, host)
  if not domain or (cookie.secure and not is_secure) then return false end
  if cookie.name:find "^__Secure%-" and not cookie.secure then return false end
  if cookie.name:find "^__Host%-"
    and not (cookie.secure and cookie.path == "/" and not cookie.domain) then return false end
  local now = self.now()
  cookie.path = cookie.path or default_path(path)
  cookie.expires = cookie.max_age and (cookie.max_age > 0 and now + cookie.max_age or -1)
    or cookie.date or math.huge
  local key = cookie.name .. "\0" .. cookie.path .. "\0" .. (host_only and "1" or "0")
  local old = (self.by_domain[domain] or {})[key]
  if old and old.secure and not is_secure then return false end
  remove(self, domain, key)
  if cookie.expires <= now then return true end
  if self.count >= TOTAL or size_of(self.by_domain[domain]) >= PER_DOMAIN then
    make_room(self, domain)
  end
  self.made = self.made + 1
  cookie.made, cookie.host_only = old and old.made or self.made, host_only
  self.by_domain[domain] = self.by_domain[domain] or {}
  self.by_domain[domain][key] = cookie
  self.count = self.count + 1
  return true
end

--- The value of a Cookie field for a request.
-- @tparam string scheme
-- @tparam string host
-- @tparam string path
-- @treturn ?string nil: there is none
function Jar:header(scheme, host, path)
  local found, now = {}, self.now()
  host = host:lower()
  local domain = host
  while domain do
    for _, cookie in pairs(self.by_domain[domain] or {}) do
      if (domain == host or not cookie.host_only) and cookie.expires > now
        and path_matches(path, cookie.path) and (not cookie.secure or scheme == "https") then
        found[#found + 1] = cookie
      end
    end
    domain = not is_address(host) and domain:match "^[^.]+%.(.+)$" or nil
  end
  if #found == 0 then return nil end
  table_sort(found, function(a, b)
    if #a.path ~= #b.path then return #a.path > #b.path end
    return a.made < b.made
  end)
  local texts = {}
  for i, cookie in ipairs(found) do texts[i] = cookie.name .. "=" .. cookie.value end
  return table_concat(texts, "; ")
end

--- Forgets all.
function Jar:clear() self.by_domain, self.count = {}, 0 end

cookies.is_jar = function(value) return type(value) == "table" and getmetatable(value) == Jar end

return cookies
