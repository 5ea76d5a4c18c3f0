--- moonlet.json: what is read and refused, what is written and refused, lines, memory.

package.cpath = os.getenv "MOONLET_TESTS" .. "/?.so;" .. package.cpath

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local json = require "moonlet.json"
local net = require "moonlet.net"
local faults = require "memory_faults"

local function plain(text) return (text:gsub("^%S+:%d+: ", "")) end

local function refused(text, opts)
  local value, message, code = json.decode(text, opts)
  assert.is_nil(value, text)
  assert.equal("EJSON", code)
  return message
end

local function problem(value, opts)
  local ok, message = pcall(json.encode, value, opts)
  assert.is_false(ok)
  return plain(message)
end

describe("json.decode", function()
  it("reads every kind of value, with space around it", function()
    assert.same({ a = { 1, "b", { c = true, d = false } }, e = {} },
      json.decode ' {"a" : [1,\t"b", {"c":true,\r\n"d":false}] ,"e":{}} ')
    assert.equal(json.null, json.decode "null")
    assert.equal("x", json.decode '"x"')
    assert.equal(false, json.decode "false")
    assert.equal(json.null, json.decode("[null]")[1])
    assert.equal("null", tostring(json.null))
    assert.equal("x\0y", json.decode '"x\\u0000y"')
    assert.equal('"\\/\b\f\n\r\t', json.decode [["\"\\\/\b\f\n\r\t"]])
  end)

  it("keeps integers, exactly and as integers", function()
    for _, text in ipairs { "0", "9007199254740993", "9223372036854775807", "-9223372036854775808", "-1" } do
      local value = json.decode(text)
      assert.equal("integer", math.type(value))
      assert.equal(text, json.encode(value))
    end
    assert.equal("float", math.type(json.decode "9223372036854775808"))
    assert.equal(-2.0 ^ 63, json.decode "-9223372036854775809")
    assert.equal("float", math.type(json.decode "1.0"))
    assert.equal("float", math.type(json.decode "1e2"))
    assert.equal(-math.huge, 1 / json.decode "-0")
  end)

  it("rounds numbers of any length as they must be rounded", function()
    for _, text in ipairs { "0.1", "123456789012345678901234567890", "2.2250738585072011e-308", "5e-324", "1e23",
      "1.7976931348623157e308", "9007199254740993.0", "0.500000000000000166533453693773481063544750213623046875",
      "1" .. ("0"):rep(300) .. "e-300", "0." .. ("0"):rep(300) .. "1e301", "1e-400" } do
      assert.equal(tonumber(text) + 0.0, json.decode(text), text)
    end
  end)

  it("reads numbers in a locale with a decimal comma as well", function()
    local old = os.setlocale()
    if not os.setlocale "de_DE.UTF-8" then return end
    local value, text = json.decode "[0.12345678901234567890]", json.encode(0.5)
    os.setlocale(old)
    assert.equal(0.12345678901234567890, value[1])
    assert.equal("0.5", text)
  end)

  it("refuses numbers that are none, or too large for a float", function()
    for _, text in ipairs { "01", "-", "+1", ".5", "1.", "1e", "1e+", "0x10", "1e400", "-1e400", "NaN", "Infinity",
      "-01", "1_0", "--1", "0.e1" } do refused(text) end
  end)

  it("says line and column, in characters, and what was expected", function()
    assert.equal("line 3, column 8: expected ',' or ']', got 'x'", refused '[\n\n  "äö" x]')
    assert.equal("line 1, column 1: expected a value, got the end", refused "")
    assert.equal("line 1, column 1: expected a value, got a byte order mark", refused "\u{feff}{}")
    assert.equal("line 1, column 8: expected a string as key, got '}'", refused '{"a":1,}')
    assert.equal("line 1, column 2: expected a string as key, or '}', got '1'", refused "{1:2}")
    assert.equal("line 1, column 6: expected ':', got '1'", refused '{"a" 1}')
    assert.equal("line 1, column 3: expected the end, got 'é'", refused "1 é")
    assert.equal("line 1, column 1: expected a value, got the byte 0", refused "\0")
    assert.equal("line 1, column 5: expected '\"' at the end of a string, got the end", refused '"abc')
    assert.equal("line 2, column 1: expected a value, got ']'", refused "[1,\r\n]")
  end)

  it("refuses what RFC 8259 does not have", function()
    for _, text in ipairs { "[1,]", "[,1]", "[1 2]", "{'a':1}", '{"a":1 "b":2}', "nul", "nulll", "True", "[1]]", "{",
      "[", '{"a"', '{"a":', '{"a":1', "[1", "// x", "[1]//", "'a'", '"\n"', '"\t"', '"\127\0"', '"\\x41"', '"\\',
      '"\\u12', '"\\u12g4"', "\v1", "\u{a0}1", "[1]\0", "]", "}", ":", ",", '{"a":1]', "[1}", '"\\u"' } do refused(text) end
  end)

  it("takes UTF-8 alone: no overlong forms, surrogates, cut or foreign bytes", function()
    for _, text in ipairs { "ä", "€", "😀", "\u{7f}", "\u{80}", "\u{7ff}", "\u{800}", "\u{ffff}", "\u{10000}",
      "\u{10ffff}", "\u{d7ff}", "\u{e000}" } do assert.equal(text, json.decode('"' .. text .. '"')) end
    for _, text in ipairs { "\xff", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
      "\xf4\x90\x80\x80", "\xc3", "\xe2\x82", "\xf0\x9f\x98", "\x80", "\xf5\x80\x80\x80", "\xc3(" } do
      assert.matches("the text is not UTF%-8", refused('"1234567' .. text .. '"'))
    end
  end)

  it("joins surrogate pairs, and refuses halves", function()
    assert.equal("😀\u{10ffff}", json.decode [["\uD83D\ude00\udbff\uDFFF"]])
    for _, text in ipairs { [["\ud800"]], [["\udc00"]], [["\ud800\u0041"]], [["\ud800x"]], [["\ud800\ud800"]],
      [["\ud83d\\ude00"]] } do assert.matches("half of a surrogate pair", refused(text)) end
  end)

  it("finds what ends a run of plain bytes at every distance", function()
    for i = 0, 40 do
      local run = ("x"):rep(i)
      assert.equal(run .. "\n" .. run, json.decode('"' .. run .. "\\n" .. run .. '"'))
      assert.equal(run .. "é" .. run, json.decode('"' .. run .. "é" .. run .. '"'))
      assert.equal(run .. "\n" .. run, json.decode(json.encode(run .. "\n" .. run)))
      refused('"' .. run .. "\1" .. run .. '"')
      refused('"' .. run .. "\x80" .. run .. '"')
      refused('"' .. run)
      refused('"' .. run .. "\\")
    end
  end)

  it("lets the last of two members with one name stay", function()
    assert.same({ a = 2 }, json.decode '{"a":1,"a":2}')
    local members = {}
    for i = 1, 200 do members[i] = ('"k%d":%d'):format(i % 90, i) end
    local value = json.decode("{" .. table.concat(members, ",") .. "}")
    for i = 111, 200 do assert.equal(i, value["k" .. i % 90]) end
  end)

  it("drops members that are null if asked, and nothing else", function()
    assert.same({ b = { json.null } }, json.decode('{"a":null,"b":[null],"c":1,"c":null}', { nulls = "drop" }))
    assert.equal(json.null, json.decode("null", { nulls = "drop" }))
  end)

  it("keeps arrays arrays and objects objects", function()
    for _, text in ipairs { "[]", "{}", "[[],{}]", '{"a":[],"b":{}}' } do
      assert.equal(text, json.encode(json.decode(text), { sort_keys = true }))
    end
    assert.equal("json.array", getmetatable(json.decode "[]").__name)
    assert.equal(3, #json.decode "[1,2,3]")
  end)

  it("nests as deep as it is told, on any stack", function()
    local function nested(n) return ("["):rep(n) .. ("]"):rep(n) end
    assert.equal(nested(1000), json.encode(json.decode(nested(1000))))
    assert.equal("line 1, column 1001: the value is nested too deep", refused(nested(1001)))
    assert.matches("nested too deep", refused(("["):rep(1000000)))
    assert.matches("column 6: .*too deep", refused('{"a":{}}', { max_depth = 1 }))
    local deep = { max_depth = 100000 }
    local objects = ('{"a":'):rep(99999) .. "{}" .. ("}"):rep(99999)
    assert.equal(nested(100000), json.encode(json.decode(nested(100000), deep), deep))
    assert.equal(objects, json.encode(json.decode(objects, deep), deep))
    local wide = ("[1,2,3,4,5,6,7,8,9,"):rep(20000) .. "0" .. ("]"):rep(20000)
    assert.equal(wide, json.encode(json.decode(wide, deep), deep))
  end)

  it("tells wrong arguments", function()
    assert.has_error(function() json.decode() end)
    assert.has_error(function() json.decode {} end)
    for _, opts in ipairs { { depth = 1 }, { max_depth = 0 }, { max_depth = 1e6 }, { max_depth = "x" },
      { nulls = "no" }, { nulls = true } } do assert.is_false(pcall(json.decode, "1", opts)) end
    assert.is_false(pcall(json.decode, "1", 1))
  end)

  it("reads large arrays and objects", function()
    local list, map = {}, {}
    for i = 1, 100000 do list[i] = i end
    for i = 1, 20000 do map["key" .. i] = { i, tostring(i) } end
    assert.same(list, setmetatable(json.decode(json.encode(list)), nil))
    local text = json.encode(map, { sort_keys = true })
    assert.equal(text, json.encode(json.decode(text), { sort_keys = true }))
  end)
end)

describe("json.encode", function()
  it("writes floats in the fewest digits, and never as integers", function()
    for _, text in ipairs { "1.0", "0.1", "1e300", "-2.5e-7", "10000000000000000.0", "1e17", "0.00001", "5e-324",
      "9007199254740992.0", "0.3333333333333333", "123456.789", "1e22", "1e23", "2.2250738585072014e-308", "100.0",
      "1.7976931348623157e308", "-1.5", "0.000095", "4.35", "1234567890123456.8" } do
      assert.equal(text, json.encode(tonumber(text)))
    end
    assert.equal("-0.0", json.encode(-0.0))
    assert.equal("0.0", json.encode(0.0))
  end)

  it("writes floats that read as the same, of any bits", function()
    for i = 1, 20000 do
      local number = string.unpack("d", string.pack("j", math.random(0)))
      if i % 2 == 0 then number = math.random(1000000) / 10 ^ math.random(6) end
      if number == number and math.abs(number) < math.huge then
        local text = json.encode(number)
        assert.equal(number, json.decode(text), text)
        assert.equal("float", math.type(json.decode(text)))
      end
    end
  end)

  it("names the path to what JSON cannot say", function()
    assert.equal("value.users[3].f is a function", problem { users = { {}, {}, { f = print } } })
    assert.equal('value["a b"][1] is a thread', problem { ["a b"] = { coroutine.create(print) } })
    assert.equal("value is a function", problem(print))
    assert.equal("value is nil", problem(nil))
    assert.equal("value[2] is not a number (NaN)", problem { 1, 0 / 0 })
    assert.equal("value.x is infinite", problem { x = -math.huge })
    assert.equal("value.s is not UTF-8", problem { s = "\xff" })
    assert.equal("value has a key that is not UTF-8", problem { ["\xff"] = 1 })
    assert.equal("value.a is a userdata", problem { a = io.stdout })
    assert.equal("value[1].b is a function", problem({ { b = print } }, { sort_keys = true }))
  end)

  it("refuses tables that are neither arrays nor objects", function()
    assert.equal("value is a sparse array: it has the key 4", problem { 1, 2, nil, 4 })
    assert.equal("value.t is a sparse array: it has the key 10", problem { t = { [10] = "x" } })
    assert.equal("value is a sparse array: it has the key 0", problem { [0] = 1 })
    assert.equal("value is a sparse array: it has the key -1", problem { [-1] = 1 })
    assert.equal("value has names and numbers as keys", problem { 1, x = 2 })
    assert.equal("value has names and numbers as keys", problem({ x = 2, [7] = 1 }, { sort_keys = true }))
    assert.equal("value has a key that is a number", problem { [1.5] = 1 })
    assert.equal("value.a has a key that is a boolean", problem { a = { [true] = 1 } })
    assert.equal("value has names and numbers as keys", problem(json.array { x = 1 }))
  end)

  it("writes arrays whatever part of the table the items lie in", function()
    local t = {}
    for i = 50, 1, -1 do t[i] = i end
    assert.equal("[" .. table.concat(t, ",") .. "]", json.encode(t))
    t = { 1, 2 }
    for i = 40, 3, -1 do t[i] = i end
    assert.equal("[" .. table.concat(t, ",") .. "]", json.encode(t))
    assert.equal('["a","b"]', json.encode { [2] = "b", [1] = "a" })
  end)

  it("tells a table in itself from one that is nested too deep, and from one that comes twice", function()
    local t = {}
    t.x = { t }
    assert.equal("value.x[1] contains itself: a cycle", problem(t))
    local deep = {}
    local at = deep
    for _ = 1, 1000 do at[1] = {}; at = at[1] end
    assert.matches("is nested too deep$", problem(deep))
    assert.matches("is nested too deep$", problem({ {} }, { max_depth = 1 }))
    local twice = { 1 }
    assert.equal("[[1],[1]]", json.encode { twice, twice })
  end)

  it("takes tables as they are, without metamethods", function()
    local t = setmetatable({ a = 1 }, { __index = error, __pairs = error, __len = error, __name = "thing" })
    assert.equal('{"a":1}', json.encode(t))
  end)

  it("escapes what must be escaped, and nothing else", function()
    assert.equal([["\"\\/\b\f\n\r\t\u0000\u001f]] .. '\127\u{2028}é"', json.encode '"\\/\b\f\n\r\t\0\31\127\u{2028}é')
  end)

  it("indents, by a number or a text, and sorts", function()
    local value = { b = { 1, { c = json.array() } }, a = {} }
    assert.equal('{\n\t"a": {},\n\t"b": [\n\t\t1,\n\t\t{\n\t\t\t"c": []\n\t\t}\n\t]\n}',
      json.encode(value, { indent = "\t", sort_keys = true }))
    assert.equal(json.encode(value, { indent = "  ", sort_keys = true }),
      json.encode(value, { indent = 2, sort_keys = true }))
    assert.equal('{"a":{},"b":[1,{"c":[]}]}', json.encode(value, { indent = 0, sort_keys = true }))
    assert.equal('{"":1,"a":2,"a\\u0000":3,"aa":4}',
      json.encode({ aa = 4, a = 2, ["a\0"] = 3, [""] = 1 }, { sort_keys = true }))
  end)

  it("tells wrong options", function()
    for _, opts in ipairs { { indent = "x" }, { indent = -1 }, { indent = 17 }, { indent = 1.5 }, { max_depth = 0 },
      { sort = true } } do assert.is_false(pcall(json.encode, 1, opts)) end
    assert.is_false(pcall(json.encode))
  end)
end)

describe("json.array", function()
  it("makes arrays of tables, empty ones too", function()
    assert.equal("[]", json.encode(json.array()))
    local t = { 1 }
    assert.equal(t, json.array(t))
    assert.equal(t, json.array(t))
    assert.has_error(function() json.array(setmetatable({}, {})) end)
    assert.has_error(function() json.array(1) end)
  end)
end)

describe("json.lines", function()
  it("reads a value from each line of a stream, and passes over blank ones", function()
    local here, there = net.pair()
    there:write('{"a":1}\n\n[2]\r\n  \nnull')
    there:shutdown "write"
    local values = {}
    for value in json.lines(here) do values[#values + 1] = json.encode(value) end
    assert.same({ '{"a":1}', "[2]", "null" }, values)
  end)

  it("raises for a bad line, and tells its number", function()
    local lines = { '{"a":1}', "", '{"b":}' }
    local i = 0
    local ok, err = pcall(function()
      for _ in json.lines(function() i = i + 1 return lines[i] end) do end
    end)
    assert.is_false(ok)
    assert.equal("EJSON", err.code)
    assert.equal("line 3, column 6: expected a value, got '}'", err.message)
    assert.equal(err.message, tostring(err))
  end)

  it("raises what the source fails with", function()
    local next_value = json.lines(function() return nil, "broken", "EIO" end)
    local ok, err = pcall(next_value)
    assert.is_false(ok)
    assert.equal("EIO", err.code)
  end)

  it("takes files, and options of decode", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "w"))
    file:write('{"a":null}\n')
    file:close()
    local read <close> = assert(io.open(path))
    os.remove(path)
    assert.same({}, json.lines(read, { nulls = "drop" })())
    assert.has_error(function() json.lines(1) end)
    assert.has_error(function() json.lines({}) end)
    assert.has_error(function() json.lines() end)
  end)
end)

describe("with too little memory", function()
  local function each_failure(fn, ...)
    local n = 0
    repeat
      n = n + 1
      collectgarbage()
      local ok, err = pcall(function(...)
        faults.lua(n)
        fn(...)
        faults.lua(0)
      end, ...)
      faults.lua(0)
      assert(ok or err == "not enough memory", err)
    until ok
    return n
  end

  it("json.decode raises, and can be called again", function()
    local text = json.encode { a = { b = ("x\n"):rep(2000), c = { 1, 2, 3 } }, ["k\n"] = { {}, {} } }
    text = ("["):rep(70) .. text .. ("]"):rep(70)
    assert.is_true(each_failure(json.decode, text) > 20)
  end)

  it("json.encode raises, and can be called again", function()
    local value = { a = { b = ("x\n"):rep(5000) }, list = {} }
    for i = 1, 100 do value.list[i] = { i, tostring(i) } end
    assert.is_true(each_failure(json.encode, value, { sort_keys = true }) > 3)
  end)
end)
