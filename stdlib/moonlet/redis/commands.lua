-- What moonlet.redis has to know about single commands: which may be repeated, which wait, which
-- belong to a connection, and where their keys stand.

local tonumber, type = tonumber, type
local string_byte, string_find, string_sub, string_upper =
  string.byte, string.find, string.sub, string.upper

local commands = {}

local function set_of(words)
  local set = {}
  for word in words:gmatch "%S+" do set[word] = true end
  return set
end

-- They change nothing: one whose reply was lost is sent again.
commands.READS = set_of [[
  BITCOUNT BITPOS DBSIZE ECHO EXISTS EXPIRETIME GEODIST GEOHASH GEOPOS GEOSEARCH GET GETBIT
  GETRANGE HEXISTS HGET HGETALL HKEYS HLEN HMGET HRANDFIELD HSCAN HSTRLEN HVALS INFO KEYS
  LASTSAVE LINDEX LLEN LOLWUT LPOS LRANGE MGET OBJECT PEXPIRETIME PFCOUNT PING PTTL RANDOMKEY
  SCAN SCARD SDIFF SINTER SINTERCARD SISMEMBER SMEMBERS SMISMEMBER SRANDMEMBER SSCAN STRLEN
  SUBSTR SUNION TIME TTL TYPE XINFO XLEN XPENDING XRANGE XREVRANGE ZCARD ZCOUNT ZDIFF ZINTER
  ZINTERCARD ZLEXCOUNT ZMSCORE ZRANDMEMBER ZRANGE ZRANGEBYLEX ZRANGEBYSCORE ZRANK ZREVRANGE
  ZREVRANGEBYSCORE ZREVRANK ZSCAN ZSCORE ZUNION
]]

-- They wait in the server, and all behind them: they get a connection of their own.
commands.WAITS = set_of [[
  BLMOVE BLMPOP BLPOP BRPOP BRPOPLPUSH BZMPOP BZPOPMAX BZPOPMIN WAIT WAITAOF
]]

-- They change what a connection is, which many tasks share.
commands.FORBIDDEN = {
  SUBSCRIBE = "use r:subscribe()", PSUBSCRIBE = "use r:psubscribe()",
  SSUBSCRIBE = "use r:ssubscribe()", UNSUBSCRIBE = "close the subscription",
  PUNSUBSCRIBE = "close the subscription", SUNSUBSCRIBE = "close the subscription",
  MULTI = "use r:transaction()", EXEC = "use r:transaction()", DISCARD = "use r:transaction()",
  WATCH = "use r:transaction()", UNWATCH = "use r:transaction()",
  SELECT = "name the database in the URL", AUTH = "name user and password in the URL",
  HELLO = "use the option 'protocol'", RESET = "close the client", QUIT = "close the client",
  MONITOR = "it has no end", SYNC = "it has no end", PSYNC = "it has no end",
  READONLY = "it is for one connection", READWRITE = "it is for one connection",
  ASKING = "moonlet.redis sends it itself",
}

-- Replies of RESP 2 that are maps in RESP 3.
commands.MAPS = { HGETALL = true, CONFIG = true }

-- Whether a request waits in the server: XREAD and XREADGROUP do with BLOCK.
function commands.does_wait(request)
  local name = request[1]
  if commands.WAITS[name] then return true end
  if name ~= "XREAD" and name ~= "XREADGROUP" then return false end
  for i = 2, #request do
    local word = string_upper(request[i])
    if word == "BLOCK" then return true end
    if word == "STREAMS" then return false end
  end
  return false
end

-- ---- keys ----

local NO_KEY = set_of [[
  ACL BGREWRITEAOF BGSAVE CLIENT CLUSTER COMMAND CONFIG DBSIZE ECHO FAILOVER FLUSHALL FLUSHDB
  FUNCTION INFO KEYS LASTSAVE LATENCY LOLWUT MODULE PING PUBLISH PUBSUB RANDOMKEY ROLE SAVE SCAN
  SCRIPT SHUTDOWN SLOWLOG SWAPDB TIME WAIT WAITAOF
]]

local KEY_AT_3 = set_of [[BITOP OBJECT XGROUP XINFO MEMORY]]

-- A number of keys stands at 3 or at 2, and the keys behind it.
local COUNT_AT_3 = set_of [[EVAL EVALSHA EVAL_RO EVALSHA_RO FCALL FCALL_RO BLMPOP BZMPOP]]
local COUNT_AT_2 = set_of [[LMPOP SINTERCARD ZDIFF ZINTER ZINTERCARD ZMPOP ZUNION]]

local function key_after_count(request, at)
  return tonumber(request[at]) ~= 0 and request[at + 1] or nil
end

local function key_after_streams(request)
  for i = 2, #request do
    if string_upper(request[i]) == "STREAMS" then return request[i + 1] end
  end
end

-- The first key of a request; nil: it has none.
function commands.key_of(request)
  local name = request[1]
  if NO_KEY[name] then return nil end
  if KEY_AT_3[name] then return request[3] end
  if COUNT_AT_3[name] then return key_after_count(request, 3) end
  if COUNT_AT_2[name] then return key_after_count(request, 2) end
  if name == "XREAD" or name == "XREADGROUP" then return key_after_streams(request) end
  return request[2]
end

-- CRC16 of XMODEM.
local crc_table = {}
for i = 0, 255 do
  local crc = i << 8
  for _ = 1, 8 do
    crc = crc & 0x8000 ~= 0 and (crc << 1 ~ 0x1021) & 0xFFFF or crc << 1 & 0xFFFF
  end
  crc_table[i] = crc
end

-- The slot of a key in a cluster; of "{tag}rest" that of the tag.
function commands.slot_of(key)
  local open = string_find(key, "{", 1, true)
  local close = open and string_find(key, "}", open + 1, true)
  if close and close > open + 1 then key = string_sub(key, open + 1, close - 1) end
  local crc = 0
  for i = 1, #key do
    crc = (crc << 8 & 0xFFFF) ~ crc_table[(crc >> 8) ~ string_byte(key, i)]
  end
  return crc & 16383
end

-- A reply of RESP 2 as RESP 3 would have it.
function commands.as_map(request, reply)
  local is_map = request[1] == "HGETALL" or request[1] == "CONFIG" and
    string_upper(request[2] or "") == "GET"
  if not is_map or type(reply) ~= "table" then return reply end
  local map = {}
  for i = 1, #reply, 2 do map[reply[i]] = reply[i + 1] end
  return map
end

return commands
