-- moonlet.http.headers: header fields and queries as scripts see them.

local headers = require "moonlet.http.headers"

local function lines(h)
  local all = {}
  for name, value in pairs(h) do all[#all + 1] = name .. "=" .. value end
  return table.concat(all, "|")
end

describe("headers", function()
  it("are found in any case", function()
    local h = headers.new { ["Content-Type"] = "text/plain", ["X-Own-Name"] = "1" }
    for _, name in ipairs { "content-type", "Content-Type", "CONTENT-TYPE" } do
      assert.equal("text/plain", h[name])
    end
    assert.equal("1", h["x-own-NAME"])
    assert.is_nil(h["x-own"])
    assert.is_nil(h[""])
    assert.is_nil(h[1])
  end)

  it("join several lines, but of set-cookie give the first", function()
    local h = headers.new()
    h:add("Via", "a")
    h:add("Set-Cookie", "a=1")
    h:add("via", "b")
    h:add("Set-Cookie", "b=2")
    assert.equal("a, b", h.via)
    assert.equal("a=1", h["set-cookie"])
    assert.same({ "a=1", "b=2" }, h:all "set-cookie")
    assert.same({}, h:all "none")
    assert.equal("via=a|set-cookie=a=1|via=b|set-cookie=b=2", lines(h))
  end)

  it("are replaced by a string, a number, a list, and removed by nil", function()
    local h = headers.new { a = "1" }
    h.A = 2
    assert.equal("2", h.a)
    h.a = { "x", 3 }
    assert.same({ "x", "3" }, h:all "a")
    h.a = nil
    assert.is_nil(h.a)
    h.a = {}
    assert.is_nil(h.a)
    assert.equal("http.headers (0 lines)", tostring(h))
  end)

  it("let methods win, and get() reads the field", function()
    local h = headers.new { get = "1", all = "2" }
    assert.is_function(h.get)
    assert.equal("1", h:get "get")
    assert.equal("2", h:get "ALL")
  end)

  it("refuse what cannot be sent, naming the field, and stay as they were", function()
    local h = headers.new { x = "1" }
    for _, bad in ipairs { "a\rb", "a\nb", "a\0b", "\127" } do
      assert.error_matches(function() h.x = bad end, "header field 'x'")
      assert.error_matches(function() h.x = { "good", bad } end, "header field 'x'")
      assert.error_matches(function() h:add("x", bad) end, "header field 'x'")
      assert.error_matches(function() headers.new { x = bad } end, "header field 'x'")
    end
    for _, bad in ipairs { "", "a b", "a:", "a\r", "\xe4" } do
      assert.error_matches(function() h[bad] = "1" end, "is no name of a header field")
    end
    assert.error_matches(function() h.x = true end, "'x' must be a string")
    assert.error_matches(function() h.x = { {} } end, "'x' must be a string")
    assert.error_matches(function() h[1] = "a" end, "must be a string")
    assert.equal("x=1", lines(h))
  end)

  it("trim values, and allow tabs and bytes above 127", function()
    local h = headers.new()
    h.x = "  a\tb\xff "
    assert.equal("a\tb\xff", h.x)
    h.x = ""
    assert.equal("", h.x)
  end)

  it("leave out what belongs to a connection or frames a message", function()
    local h = headers.new { Connection = "close", ["Transfer-Encoding"] = "chunked", a = "1",
      ["Content-Length"] = 5, ["Keep-Alive"] = "x", TE = "trailers", Upgrade = "x" }
    assert.equal("a=1", lines(h))
    local from = headers.new { a = "1", b = "2", ["x-hop"] = "3" }
    from:add("Connection", "x-hop, b")
    assert.equal("a=1", lines(headers.new(from)))
  end)

  it("are copied, not shared", function()
    local from = headers.new { a = "1" }
    local h = headers.new(from)
    h.a = "2"
    assert.equal("1", from.a)
  end)

  it("grow to many lines, and give back what was replaced", function()
    local h = headers.new()
    for i = 1, 2000 do h:add("x-" .. i, ("v"):rep(i % 50)) end
    for i = 1, 2000 do assert.equal(("v"):rep(i % 50), h["x-" .. i]) end
    local one = headers.new()
    for i = 1, 10000 do one.x = "value" .. i end
    assert.equal("value10000", one.x)
  end)

  it("take nothing else", function()
    for _, bad in ipairs { 1, "a", true } do
      assert.error_matches(function() headers.new(bad) end, "headers must be a table")
    end
  end)
end)

describe("a query", function()
  it("is decoded, its names in their case", function()
    local q = headers.query "a=1&A=2&b%20c=d+e%2B&empty=&flag&&x=%zz%4"
    assert.equal("1", q.a)
    assert.equal("2", q.A)
    assert.equal("d e+", q["b c"])
    assert.equal("", q.empty)
    assert.equal("", q.flag)
    assert.equal("%zz%4", q.x)
    assert.equal("http.query (6 lines)", tostring(q))
  end)

  it("has all values of a name, and may hold any byte", function()
    local q = headers.query "a=1&a=%0d%0a%00"
    assert.same({ "1", "\r\n\0" }, q:all "a")
    assert.equal("1, \r\n\0", q.a)
    assert.is_nil(headers.query("")[""])
  end)
end)
