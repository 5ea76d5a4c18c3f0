--- moonlet.crypto: known answers, strictness, passwords on a worker thread.

local support = dofile "tests/spec/support.lua"
local it = support.limited(it)
local crypto = require "moonlet.crypto"
local task = require "moonlet.task"

local function refused(fn, ...)
  local value, message, code = fn(...)
  assert.is_nil(value)
  assert.equal("EINVAL", code)
  return message
end

local function problem(fn, ...)
  local ok, message = pcall(fn, ...)
  assert.is_false(ok)
  return message
end

describe("crypto.digest", function()
  it("gives the bytes that the standards give", function()
    local function digest(...) return crypto.hex(crypto.digest(...)) end
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", digest("sha256", "abc"))
    assert.equal("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", digest("SHA256", ""))
    assert.equal("248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
      digest("sha256", "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))
    assert.equal("cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0",
      digest("sha256", ("a"):rep(1000000)))
    assert.equal("a9993e364706816aba3e25717850c26c9cd0d89d", digest("sha1", "abc"))
    assert.equal("900150983cd24fb0d6963f7d28e17f72", digest("md5", "abc"))
    assert.equal("3a985da74fe225b2045c172d6bd390bd855f086e3e9d525b46bfe24511431532", digest("sha3-256", "abc"))
    assert.equal("ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd"
      .. "454d4423643ce80e2a9ac94fa54ca49f", digest("sha512", "abc"))
    assert.equal(3, select("#", crypto.digest("sha256", "\0"):byte(1, 3)))
  end)

  it("raises for a digest that OpenSSL does not have, and names it", function()
    assert.matches("unknown digest 'nope'", problem(crypto.digest, "nope", ""))
    assert.matches("unknown digest 'sha256", problem(crypto.digest, "sha256\0", ""))
    assert.matches("unknown digest ''", problem(crypto.digest, "", ""))
    assert.matches("unknown digest 'nope'", problem(crypto.hmac, "nope", "", ""))
    problem(crypto.digest, "sha256")
    problem(crypto.digest, "sha256", {})
    assert.equal(32, #crypto.digest("sha256", ""))
  end)
end)

describe("crypto.hmac", function()
  it("gives what RFC 4231 gives", function()
    local function hmac(...) return crypto.hex(crypto.hmac("sha256", ...)) end
    assert.equal("b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7", hmac(("\x0b"):rep(20), "Hi There"))
    assert.equal("5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
      hmac("Jefe", "what do ya want for nothing?"))
    assert.equal("773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
      hmac(("\xaa"):rep(20), ("\xdd"):rep(50)))
    assert.equal("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
      hmac(("\xaa"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First"))
    assert.equal("87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cdedaa833b7d6b8a702038b274eaea3f4e4"
      .. "be9d914eeb61f1702e696c203a126854", crypto.hex(crypto.hmac("sha512", ("\x0b"):rep(20), "Hi There")))
    assert.equal("b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad", hmac("", ""))
  end)
end)

describe("crypto.equal", function()
  it("compares bytes", function()
    assert.is_true(crypto.equal("", ""))
    assert.is_true(crypto.equal("a\0b", "a\0b"))
    assert.is_false(crypto.equal("a\0b", "a\0c"))
    assert.is_false(crypto.equal("a", "ab"))
    problem(crypto.equal, "a")
    problem(crypto.equal, nil, nil)
  end)
end)

describe("crypto.random", function()
  it("gives as many bytes as asked, others each time", function()
    for _, n in ipairs { 0, 1, 255, 256, 257, 100000, 1 << 20 } do assert.equal(n, #crypto.random(n)) end
    assert.not_equal(crypto.random(16), crypto.random(16))
    for _, n in ipairs { -1, (1 << 20) + 1, 1.5, "x", math.huge } do problem(crypto.random, n) end
  end)
end)

describe("crypto.hex and crypto.unhex", function()
  it("are each other's reverse", function()
    assert.equal("00ff7f0a", crypto.hex "\0\255\127\n")
    assert.equal("\0\255\171", crypto.unhex "00fFAb")
    assert.equal("", crypto.unhex "")
    local bytes = crypto.random(1000)
    assert.equal(bytes, crypto.unhex(crypto.hex(bytes)))
  end)

  it("refuse odd lengths and other characters, with their place", function()
    assert.equal("bad hexadecimal text: it ends too early", refused(crypto.unhex, "0"))
    assert.equal("bad hexadecimal text: byte 2", refused(crypto.unhex, "0g"))
    assert.equal("bad hexadecimal text: byte 3", refused(crypto.unhex, "00 0"))
    for _, text in ipairs { "0x", "@@", "``", "GG", "0\0", "/:" } do refused(crypto.unhex, text) end
  end)
end)

describe("crypto.base64 and crypto.unbase64", function()
  it("give what RFC 4648 gives", function()
    local texts = { [""] = "", f = "Zg==", fo = "Zm8=", foo = "Zm9v", foob = "Zm9vYg==", fooba = "Zm9vYmE=",
      foobar = "Zm9vYmFy", ["\xfb\xff\xfe"] = "+//+" }
    for data, text in pairs(texts) do
      local bare = text:gsub("=", ""):gsub("%+", "-"):gsub("/", "_")
      assert.equal(text, crypto.base64(data))
      assert.equal(bare, crypto.base64(data, true))
      assert.equal(data, crypto.unbase64(text))
      assert.equal(data, crypto.unbase64(bare, true))
    end
    assert.equal("f", crypto.unbase64("Zg==", true))
    for n = 0, 70 do
      local bytes = crypto.random(n)
      assert.equal(bytes, crypto.unbase64(crypto.base64(bytes)))
      assert.equal(bytes, crypto.unbase64(crypto.base64(bytes, true), true))
    end
  end)

  it("refuse all other forms", function()
    for _, text in ipairs { "Z", "Zg", "Zg=", "Zg===", "Zm8", "Zm8==", "Zm9v=", "Zm9v==", "Zm9v====", "=", "==", "====",
      "Zg==Zg==", "Z=g=", "Zg==\n", " Zg==", "Zm\n9v", "Zh==", "Zm9=", "-_-_", "Zm9\0", "Zm9v\xc3", "Z===" } do
      refused(crypto.unbase64, text)
    end
    for _, text in ipairs { "Z", "Zg=", "Zm8==", "Zm9v=", "+/+/", "Zh", "Zm9", "Zg===" } do
      refused(crypto.unbase64, text, true)
    end
    assert.equal("bad base64: byte 3", refused(crypto.unbase64, "Zm 9"))
    assert.equal("bad base64: it ends too early", refused(crypto.unbase64, "Zg"))
  end)
end)

describe("crypto.password_hash and crypto.password_verify", function()
  local cheap = { cost = 10 }

  it("know the password, and no other one", function()
    local hash = crypto.password_hash("s\0cret", cheap)
    assert.matches("^%$scrypt%$ln=10,r=8,p=3%$[%w+/]+%$[%w+/]+$", hash)
    assert.is_true(crypto.password_verify("s\0cret", hash))
    assert.is_false(crypto.password_verify("s\0creT", hash))
    assert.is_false(crypto.password_verify("s", hash))
    assert.is_false(crypto.password_verify("", hash))
    assert.not_equal(hash, crypto.password_hash("s\0cret", cheap))
    assert.matches("^%$scrypt%$ln=15,r=8,p=3%$", crypto.password_hash "")
  end)

  it("compute what RFC 7914 gives, in the form of others", function()
    local hash = "$scrypt$ln=10,r=8,p=16$TmFDbA$" ..
      crypto.base64(crypto.unhex "fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162"):gsub("=", "")
    assert.is_true(crypto.password_verify("password", hash))
    assert.is_false(crypto.password_verify("Password", hash))
  end)

  it("refuse what is no hash of scrypt, or takes too much memory", function()
    local key = ("A"):rep(43)
    for _, hash in ipairs { "", "x", "$", "$2y$10$abc", "$scrypt$", "$scrypt$ln=", "$scrypt$ln=10,r=8,p=3$",
      "$scrypt$ln=10,r=8,p=3$AAAA", "$scrypt$ln=10,r=8,p=3$AAAA$", "$scrypt$ln=10,r=8,p=3$AAAA$AAAA",
      "$scrypt$ln=10,r=8,p=3$AAAA$" .. key .. "$", "$scrypt$ln=10,r=8,p=3$AAAA$" .. key .. "=",
      "$scrypt$ln=10,r=8,p=3$$" .. key, "$scrypt$ln=0,r=8,p=3$AAAA$" .. key, "$scrypt$ln=010,r=8,p=3$AAAA$" .. key,
      "$scrypt$ln=10,r=0,p=3$AAAA$" .. key, "$scrypt$ln=10,r=8,p=0$AAAA$" .. key,
      "$scrypt$ln=30,r=8,p=1$AAAA$" .. key, "$scrypt$ln=19,r=8,p=1$AAAA$" .. key,
      "$scrypt$ln=99999999999,r=8,p=1$AAAA$",
      "$scrypt$ln=17,r=1,p=1$AAAA$" .. key, "$scrypt$ln=10,r=33,p=1$AAAA$" .. key,
      "$scrypt$ln=10,r=8,p=3$" .. ("A"):rep(4000) .. "$" .. key,
      "$scrypt$ln=10,r=8,p=3$" .. ("A"):rep(100) .. "$" .. key,
      "$scrypt$ln=10,r=8,p=3$AAAA$" .. ("A"):rep(4000), ("$"):rep(100), "\0" } do
      assert.equal("not a password hash of scrypt", refused(crypto.password_verify, "x", hash))
    end
    problem(crypto.password_verify, "x")
    problem(crypto.password_hash)
    for _, opts in ipairs { { cost = 9 }, { cost = 19 }, { cost = "x" }, { price = 1 }, 7 } do
      problem(crypto.password_hash, "x", opts)
    end
  end)

  it("let other tasks run meanwhile", function()
    assert.is_true(support.turns_beside(function() crypto.password_hash("x", { cost = 14 }) end) > 1)
    local hashes = task.map({ "a", "b", "c", "d" }, function(text) return crypto.password_hash(text, cheap) end)
    for i, text in ipairs { "a", "b", "c", "d" } do assert.is_true(crypto.password_verify(text, hashes[i])) end
  end)

  it("can be cancelled while they wait, and refuse to wait where nothing may", function()
    local t = support.parked(task.spawn({ quiet = true }, crypto.password_hash, "x", { cost = 14 }))
    t:cancel()
    assert.equal("ECANCELED", select(3, t:join()))
    assert.matches("no_switch", problem(task.no_switch, crypto.password_hash, "x", cheap))
  end)
end)
