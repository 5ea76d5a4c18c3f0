--- What is written down comes back exactly, in any process; what cannot be is refused by its place.

local encoding = require "moonlet.durable.encoding"
local json = require "moonlet.json"

local function copy(...) return encoding.unpack(encoding.pack(...)) end

local function same(...)
  local values, copies = table.pack(...), table.pack(copy(...))
  assert.equal(values.n, copies.n)
  for i = 1, values.n do
    assert.equal(math.type(values[i]), math.type(copies[i]))
    assert.same(values[i], copies[i])
  end
end

describe("values that are written down", function()
  it("come back with their kinds: integers, floats, strings of any bytes, nil in any place", function()
    same()
    same(nil)
    same(nil, 1, nil)
    same(0, -1, 127, 128, -128, -129, math.maxinteger, math.mininteger, 2 ^ 53, 1.0, -0.0, 1 / 0, -1 / 0)
    same("", "\0\1\255", ("x"):rep(70000), true, false)
    assert.equal(-1 / 0, 1 / copy(-0.0))
    local nan = copy(0 / 0)
    assert.is_true(nan ~= nan)
  end)

  it("are written by the short way for one value as by the long way", function()
    local function is_same(...) assert.equal(encoding.pack(...), encoding.pack_brief(...)) end
    is_same()
    assert.equal(encoding.NONE, encoding.pack())
    is_same(nil)
    for _, value in ipairs { 0, -1, 127, 128, -128, -129, math.maxinteger, math.mininteger, 1.0, -0.0, 2 ^ 53, 1 / 0,
      "", "\0\1\255", ("x"):rep(4096), true, false } do
      is_same(value)
    end
    for _, values in ipairs { { n = 2 }, { {}, n = 1 }, { 1, 2, n = 2 }, { json.null, n = 1 },
      { ("x"):rep(4097), n = 1 }, { print, n = 1 } } do
      assert.is_nil(encoding.pack_brief(table.unpack(values, 1, values.n)))
    end
  end)

  it("are tables of items and fields, with numbers of both kinds, and holes", function()
    same { 1, 2, 3, x = { y = { "z" } }, [true] = false, [1.5] = "half", [-1] = "below", [10] = "far" }
    same { n = 3, nil, nil, "third" }
    same({}, { {} })
  end)

  it("keep null and arrays of JSON", function()
    assert.equal(json.null, copy(json.null))
    assert.equal("[]", json.encode(copy(json.array {})))
    assert.equal('{"a":[null]}', json.encode(copy { a = json.array { json.null } }))
  end)

  it("are copies, also of a table that occurs twice", function()
    local t = { 1 }
    local both = copy { t, t }
    assert.same({ { 1 }, { 1 } }, both)
    assert.not_equal(t, both[1])
  end)

  it("give equal bytes for equal tables if they are to be compared", function()
    local names = {}
    for i = 1, 50 do names[i] = "k" .. i end
    local one, other = {}, {}
    for i = 1, 50 do one[names[i]] = i end
    for i = 50, 1, -1 do other[names[i]] = i end
    one[true], other[true], one[0.5], other[0.5] = 1, 1, 2, 2
    assert.equal(encoding.canonical(one), encoding.canonical(other))
    assert.not_equal(encoding.canonical(1), encoding.canonical(1.0))
  end)
end)

describe("values that cannot be written down", function()
  local function refused(pattern, ...)
    local ok, message = pcall(encoding.pack, ...)
    assert.is_false(ok)
    assert.matches(pattern, message)
  end

  it("are named by their place", function()
    refused("^value is a function$", print)
    refused("^value%.users%[3%]%.f is a function$", { users = { 1, 2, { f = print } } })
    refused("^value 2 is a thread$", 1, coroutine.create(print))
    refused('^value%["a b"%] is a userdata$', { ["a b"] = io.stdout })
    refused("^value has a metatable$", setmetatable({}, {}))
    refused("^value's key is a function$", { [print] = 1 })
  end)

  it("are tables that contain themselves, and such that are nested too deeply", function()
    local loop = {}
    loop.x = { loop }
    refused("contains itself$", loop)
    local deep = {}
    for _ = 1, 600 do deep = { deep } end
    refused("is nested too deeply$", deep)
  end)

  it("are larger than a mebibyte, not of exactly that size", function()
    local head = #encoding.pack("")
    same(("x"):rep(encoding.LIMIT - head))
    refused("^1048577 bytes are more than the 1048576", ("x"):rep(encoding.LIMIT - head + 1))
  end)
end)

describe("bytes that are read", function()
  it("are refused if they are damaged, wherever they are cut or changed", function()
    local whole = encoding.pack({ 1, "two", { x = 3.5, y = false } }, nil, "end")
    for length = 0, #whole - 1 do
      assert.is_false(pcall(encoding.unpack, whole:sub(1, length)))
    end
    assert.is_false(pcall(encoding.unpack, whole .. "x"))
    for at = 2, #whole do -- ends, with a value or an error
      pcall(encoding.unpack, whole:sub(1, at - 1) .. "\255" .. whole:sub(at + 1))
    end
  end)

  it("of a newer version are named so", function()
    local ok, message = pcall(encoding.unpack, "\2" .. encoding.pack(1):sub(2))
    assert.is_false(ok)
    assert.matches("version 2", message)
  end)
end)
