--- Requests with conditions and for parts (RFC 9110, sections 13 and 14): what they ask for. For
-- moonlet's own modules.
-- @module moonlet.http.conditions

local ipairs, tonumber = ipairs, tonumber
local huge = math.maxinteger

local parse_date = require("moonlet.http.server.core").parse_date

local conditions = {}

-- Whether the list of entity tags has the tag; the weak ones count only if `is_weak`.
local function has_tag(list, tag, is_weak)
  if list:match "^%s*%*%s*$" then return true end
  if not is_weak and tag:find "^W/" then return false end
  local opaque = tag:match '"[^"]*"'
  for weak, text in list:gmatch '(W?/?)("[^"]*")' do
    if text == opaque and (is_weak or weak == "") then return true end
  end
  return false
end

local function date_of(text) return text and parse_date(text) end

--- What the preconditions of a request for something that is there come to.
-- @tparam headers headers of the request
-- @tparam boolean is_read the method is GET or HEAD
-- @tparam string tag its entity tag
-- @tparam integer changed when it was changed, seconds since 1970
-- @treturn ?integer 304, 412, or nil: go on
function conditions.check(headers, is_read, tag, changed)
  local match, none_match = headers["if-match"], headers["if-none-match"]
  if match then
    if not has_tag(match, tag, false) then return 412 end
  else
    local since = date_of(headers["if-unmodified-since"])
    if since and changed > since then return 412 end
  end
  if none_match then
    if has_tag(none_match, tag, true) then return is_read and 304 or 412 end
  elseif is_read then
    local since = date_of(headers["if-modified-since"])
    if since and changed <= since then return 304 end
  end
  return nil
end

--- Whether a Range field holds for what is there now (If-Range).
function conditions.holds(headers, tag, changed)
  local validator = headers["if-range"]
  if not validator then return true end
  if validator:find '"' then return validator == tag and not tag:find "^W/" end
  return parse_date(validator) == changed
end

-- Digits as a number, the largest one for what no file has.
local function number_of(digits)
  digits = digits:gsub("^0+", "")
  if #digits > 18 then return huge end
  return tonumber(digits) or 0
end

-- Parts of one request at most; more are a way to make much of little.
local RANGES = 16

-- The first and the last byte of one part; nothing: it is beyond the end; nil, true: malformed.
local function range_of(text, size)
  local first, last = text:match "^%s*(%d*)%-(%d*)%s*$"
  if not first or (first == "" and last == "") then return nil, true end
  if first == "" then
    local count = number_of(last)
    if count == 0 or size == 0 then return nil end
    return count < size and size - count or 0, size - 1
  end
  local from, to = number_of(first), last == "" and huge or number_of(last)
  if to < from then return nil, true end
  if from >= size then return nil end
  return from, to < size and to or size - 1
end

--- The parts that a Range field asks for.
-- @tparam string field
-- @tparam integer size of what is there
-- @treturn ?table list of { first, last }, counted from 0; empty: none can be given (416); nil: the
-- whole is to be sent
function conditions.ranges(field, size)
  local list = field:match "^%s*[Bb][Yy][Tt][Ee][Ss]%s*=(.*)$"
  if not list then return nil end
  local ranges, sum, count = {}, 0, 0
  for text in (list .. ","):gmatch "([^,]*)," do
    if text:find "%S" then
      count = count + 1
      local first, last = range_of(text, size)
      if first then
        ranges[#ranges + 1] = { first, last }
        sum = sum + last - first + 1
      elseif last then
        return nil
      end
    end
  end
  if count == 0 or count > RANGES or sum > size then return nil end
  return ranges
end

--- Whether two parts overlap.
function conditions.overlap(ranges)
  for i, one in ipairs(ranges) do
    for k = i + 1, #ranges do
      if one[1] <= ranges[k][2] and ranges[k][1] <= one[2] then return true end
    end
  end
  return false
end

return conditions
