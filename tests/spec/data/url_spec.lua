--- moonlet.url: parts, references, encoding, queries. The grammar itself is tested in tests/unit/http/test_url.c.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local url = require "moonlet.url"

local function parts(text)
  local u = assert(url.parse(text))
  local found = {}
  for _, name in ipairs { "scheme", "user", "password", "host", "port", "path", "query", "fragment" } do
    found[name] = u[name]
  end
  return found
end

local function refused(fn, ...)
  local value, message, code = fn(...)
  assert.is_nil(value)
  assert.equal("EURL", code)
  return message
end

describe("url.parse", function()
  it("gives the parts, scheme and host in lower case, all else as it stands", function()
    assert.same({ scheme = "https", user = "Me", password = "p:w%41", host = "example.org", port = 8443,
      path = "/A%2f/%7e", query = "Q=%c3&a[]=1", fragment = "Top" },
      parts "HTTPS://Me:p:w%41@Example.ORG:8443/A%2f/%7e?Q=%c3&a[]=1#Top")
  end)

  it("tells absent parts from empty ones", function()
    assert.same({ path = "" }, parts "")
    assert.same({ scheme = "x", user = "", password = "", host = "", path = "", query = "", fragment = "" },
      parts "x://:@:?#")
    assert.same({ scheme = "mailto", path = "a@b.example" }, parts "mailto:a@b.example")
    assert.same({ scheme = "file", host = "", path = "/etc/hosts" }, parts "file:///etc/hosts")
    assert.same({ path = "/path", query = "x=1" }, parts "/path?x=1")
    assert.same({ host = "h", user = "me", path = "" }, parts "//me@h")
  end)

  it("takes the brackets from an address of IPv6, and prints them", function()
    local u = assert(url.parse "http://[2001:DB8::1]:8080/")
    assert.equal("2001:db8::1", u.host)
    assert.equal("http://[2001:db8::1]:8080/", tostring(u))
    assert.is_not_nil(url.parse "http://[::ffff:1.2.3.4]")
    for _, host in ipairs { "[::1", "::1", "[:::1]", "[1.2.3.4]", "[fe80::1%25eth0]", "[::1]a", "[]",
      "[::12345]" } do
      refused(url.parse, "http://" .. host .. "/")
    end
  end)

  it("prints as the URL, equals one of the same text, and cannot be changed", function()
    local u = assert(url.parse "HTTP://H/a")
    assert.equal("http://h/a", tostring(u))
    assert.is_true(u == url.parse(u))
    assert.is_true(u == url.parse "http://h/a")
    assert.is_false(u == url.parse "http://h/A")
    assert.is_false(u == "http://h/a")
    assert.equal("see http://h/a!", "see " .. u .. "!")
    assert.has_error(function() u.host = "other" end, "a URL cannot be changed")
    assert.is_nil(u.nothing)
    assert.is_nil(u[1])
  end)

  it("names what is wrong, and the byte", function()
    assert.equal("not a URL: a space must be percent-encoded (byte 11)", refused(url.parse, "http://h/a b"))
    assert.equal("not a URL: a control character is not allowed (byte 10)", refused(url.parse, "http://h/\n"))
    assert.equal("not a URL: a port is at most 65535 (byte 10)", refused(url.parse, "http://h:99999"))
    assert.equal("not a URL: a host is missing (byte 8)", refused(url.parse, "http:///path"))
    assert.matches('not ASCII.*"xn%-%-"', refused(url.parse, "http://b\u{fc}cher.example/"))
    for _, text in ipairs { "http://h/\0", "http://h/\r\nHost: evil", "http://h\0.evil/", "http://h/\127", ":", "//[",
      "http://h\\@e/", "http://a@b@c", "http://h:-1", "http://h:1e3", "http://h: 80", "http://h/%", "http://h/%0",
      "http://h/%0g", "1:a", "http://h%00/", "http://h?#\r", "http://h/<", "http://h/a[1]", "http://h/#a#b",
      " http://h", "http://h " } do
      refused(url.parse, text)
    end
  end)

  it("takes a text, and nothing else", function()
    assert.has_error(function() url.parse() end)
    assert.has_error(function() url.parse({}) end)
    assert.has_error(function() url.parse(io.stdout) end)
  end)

  it("takes megabytes", function()
    local path = "/" .. ("a"):rep(5000000)
    assert.equal(path, url.parse("http://h" .. path).path)
    assert.equal("http://h/", url.join("http://h/", ("a/../"):rep(500000)))
    assert.equal("http://h/", url.join("http://h/" .. ("a/"):rep(500000), ("../"):rep(600000)))
  end)
end)

describe("url.join", function()
  it("gives the target as a text, of texts or URLs", function()
    assert.equal("http://a/b/g", url.join("http://a/b/c/d;p?q", "../g"))
    assert.equal("http://a/g", url.join(url.parse "http://a/b/c", url.parse "/g"))
    assert.equal("https://other/", url.join("http://a/", "HTTPS://Other/"))
    assert.equal("http://me@a/?y", url.join("http://me@a/?x", "?y"))
  end)

  it("says which of the two is wrong", function()
    assert.matches("^the base is not a URL: ", refused(url.join, "http://a b", "c"))
    assert.matches("^not a URL: ", refused(url.join, "http://a", "c d"))
    assert.matches("a host is missing", refused(url.join, "http://a", "//"))
  end)
end)

describe("url.encode and url.decode", function()
  it("are each other's reverse for any bytes", function()
    local bytes = {}
    for i = 0, 255 do bytes[#bytes + 1] = string.char(i) end
    local all = table.concat(bytes)
    assert.equal(all, url.decode(url.encode(all)))
    assert.equal("", url.decode(url.encode ""))
  end)

  it("keep letters, digits and -._~ alone", function()
    assert.equal("azAZ09-._~", url.encode "azAZ09-._~")
    assert.equal("%20%2B%2F%3F%23%26%3D%25%00%C3%BC%2A", url.encode " +/?#&=%\0\u{fc}*")
    assert.equal("a+b", url.decode "a+b")
    assert.equal("\u{fc}/", url.decode "%c3%BC%2f")
  end)

  it("refuse a % that no two hexadecimal digits follow", function()
    for _, text in ipairs { "%", "a%", "%1", "%g1", "%1g", "%%41", "%u0041", "% 41" } do
      assert.equal('bad percent-encoding: "%" must come before two hexadecimal digits', refused(url.decode, text))
    end
  end)
end)

describe("url.query", function()
  it("sorts names, repeats lists, keeps the order of pairs", function()
    assert.equal("a=1&b=1.5&c=true&d=x&d=y", url.query { d = { "x", "y" }, c = true, b = 1.5, a = 1 })
    assert.equal("z=1&a=2&z=3&m=4", url.query { { "z", 1 }, { "a", 2 }, { "z", 3 }, m = 4 })
    assert.equal("", url.query {})
    assert.equal("=b&a=&c=false", url.query { a = "", [""] = "b", c = false })
    assert.equal("", url.query { a = {} })
  end)

  it("encodes a space as + and all else as bytes", function()
    assert.equal("q+%26=a+b%2B%3D%C3%BC%00", url.query { ["q &"] = "a b+=\u{fc}\0" })
  end)

  it("sorts by bytes, names with zeros included", function()
    assert.equal("=0&%00=1&a=2&a%00=3&aa=4&%FF=5",
      url.query { ["\255"] = 5, aa = 4, ["a\0"] = 3, a = 2, ["\0"] = 1, [""] = 0 })
  end)

  it("names what cannot be in a query", function()
    local function problem(t) return select(2, pcall(url.query, t)) end
    assert.matches("the value of 'f' is a function", problem { f = print })
    assert.matches("the value of 'f' is a table", problem { f = { { 1 } } })
    assert.matches("item 1 is not a pair", problem { "a" })
    assert.matches("item 2 is not a pair", problem { { "a", 1 }, { {}, 1 } })
    assert.matches("the value of 'a' is a nil", problem { { "a" } })
    assert.matches("keys must be names", problem { [1.5] = "a" })
    assert.matches("keys must be names", problem { [true] = "a" })
    assert.matches("table expected", problem())
  end)

  it("takes many names, and long values", function()
    local t = {}
    for i = 1, 20000 do t["n" .. i] = ("\0"):rep(100) end
    assert.same(t, url.parse_query(url.query(t)))
  end)
end)

describe("url.parse_query", function()
  it("undoes what url.query did", function()
    local t = { q = "green threads", tag = { "a", "b", "c" }, ["a&b="] = "\0\255", e = "" }
    assert.same(t, url.parse_query(url.query(t)))
  end)

  it("takes empty pieces, names without values, and further = signs", function()
    assert.same({ a = "", b = "=1=", [""] = "x" }, url.parse_query "&a&&b==1=&=x&")
    assert.same({}, url.parse_query "")
    assert.same({ a = { "1", "2" } }, url.parse_query "a=1&%61=2")
  end)

  it("refuses a bad % in a name or a value", function()
    refused(url.parse_query, "a=%")
    refused(url.parse_query, "a=1&%zz=2")
  end)
end)
