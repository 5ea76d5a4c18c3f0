-- What a WebSocket that echoes makes of a peer's frames: messages of all sizes, pings, reserved bits, opcodes,
-- fragments, UTF-8, closing, limits, compression. In the order of the sections of the Autobahn test suite,
-- which has cases of these kinds.

local core = require "moonlet.websocket.core"
local frames = require "tests.spec.http.websocket_frames"
local net = require "moonlet.net"
local support = require "tests.spec.support"
local task = require "moonlet.task"
local it = support.limited(it)

local TEXT, BINARY, MORE, CLOSE, PING, PONG = 0x81, 0x82, 0x80, 0x88, 0x89, 0x8a
local OPEN_TEXT, OPEN_BINARY, OPEN_MORE = 0x01, 0x02, 0x00
local code = frames.code
local BYE = { CLOSE, code(1000) }
local WRONG, NOT_UTF8, TOO_BIG = { CLOSE, code(1002) }, { CLOSE, code(1007) }, { CLOSE, code(1009) }

local function echo(ws)
  local data, kind = ws:receive()
  while data and ws:send(data, kind) do data, kind = ws:receive() end
  ws:finish()
end

-- Everything that such a WebSocket sends when bytes come in pieces, as frames.
local function answers(is_client, pieces, opts, extensions)
  local a, peer = net.memory_pair()
  local ws = core.open(a, opts or {}, is_client, extensions)
  local echoing = task.spawn(echo, ws)
  local writing = task.spawn(function()
    for _, piece in ipairs(pieces) do
      if not peer:write(piece) then return end
      task.yield()
    end
  end)
  local all = {}
  repeat
    local first, payload = frames.read(peer)
    all[#all + 1] = first and { first, payload }
  until not first
  peer:close()
  writing:join()
  assert(echoing:join())
  return all
end

-- Frames as one of the sides sends them.
local function bytes_of(list, is_client)
  local out = {}
  for i, one in ipairs(list) do out[i] = (is_client and frames.frame or frames.masked)(one[1], one[2]) end
  return table.concat(out)
end

local function pieces_of(bytes, step)
  local pieces = {}
  for i = 1, #bytes, step do pieces[#pieces + 1] = bytes:sub(i, i + step - 1) end
  return pieces
end

-- A list of frames shown in hexadecimal, where long ones differ.
local function shown(list)
  local out = {}
  for i, one in ipairs(list) do
    local text = #one[2] > 64 and ("%d bytes"):format(#one[2]) or one[2]:gsub("[^ -~]", function(c)
      return ("\\x%02x"):format(c:byte())
    end)
    out[i] = ("%02x %s"):format(one[1], text)
  end
  return table.concat(out, " | ")
end

local function check(got, expected, how)
  local is_same = #got == #expected
  for i, one in ipairs(expected) do
    is_same = is_same and got[i][1] == one[1] and got[i][2] == one[2]
  end
  if not is_same then error(("%s: expected %s, got %s"):format(how, shown(expected), shown(got)), 0) end
end

local SMALL = 64

-- `sent` has its answers, at either side, however it is cut.
local function case(title, sent, expected, opts)
  it(title, function()
    for _, is_client in ipairs { false, true } do
      local bytes = bytes_of(sent, is_client)
      local side = is_client and "a client" or "a server"
      local function try(pieces, how) check(answers(is_client, pieces, opts), expected, side .. ", " .. how) end
      try({ bytes }, "all at once")
      if #bytes <= 256 then try(pieces_of(bytes, 1), "byte by byte") end
      if #bytes > 256 then try(pieces_of(bytes, 997), "in pieces") end
      for cut = 1, #bytes <= SMALL and #bytes - 1 or 0 do
        try({ bytes:sub(1, cut), bytes:sub(cut + 1) }, "cut at " .. cut)
      end
    end
  end)
end

describe("1: a message of one frame is echoed:", function()
  for _, size in ipairs { 0, 1, 125, 126, 127, 128, 65535, 65536 } do
    local text, bytes = ("*"):rep(size), ("\xfe"):rep(size)
    case(("%d bytes of text"):format(size), { { TEXT, text }, BYE }, { { TEXT, text }, BYE })
    case(("%d bytes"):format(size), { { BINARY, bytes }, BYE }, { { BINARY, bytes }, BYE })
  end
end)

describe("2: a ping is answered with its payload:", function()
  for _, payload in ipairs { "", "Hello, world!", "\x00\xff\xfe\xfd\xfc\xfb\x00\xff", ("\xfe"):rep(125) } do
    case(("%d bytes"):format(#payload), { { PING, payload }, BYE }, { { PONG, payload }, BYE })
  end
  case("one of 126 bytes is none", { { PING, ("\xfe"):rep(126) } }, { WRONG })
  case("a pong of 126 bytes is none", { { PONG, ("\xfe"):rep(126) } }, { WRONG })
  case("an unasked pong has no answer", { { PONG, "" }, { PONG, "unasked" }, BYE }, { BYE })
  case("nor has it one before a ping", { { PONG, "unasked" }, { PING, "p" }, BYE }, { { PONG, "p" }, BYE })
  local pings, pongs = {}, {}
  for i = 1, 10 do pings[i], pongs[i] = { PING, "ping " .. i }, { PONG, "ping " .. i } end
  pings[11], pongs[11] = BYE, BYE
  case("ten of them in their order", pings, pongs)
end)

describe("3: a reserved bit ends the connection:", function()
  for bits = 1, 7 do
    for name, first in pairs { text = TEXT, binary = BINARY, ping = PING, pong = PONG, Close = CLOSE } do
      local bad = { first | bits << 4, first == CLOSE and code(1000) or "bits" }
      case(("%d in a %s"):format(bits, name), { { TEXT, "fine" }, bad, { PING, "late" } }, { { TEXT, "fine" }, WRONG })
    end
  end
end)

describe("4: an opcode that is none ends the connection:", function()
  for _, opcode in ipairs { 3, 4, 5, 6, 7, 11, 12, 13, 14, 15 } do
    case(("%d, empty"):format(opcode), { { 0x80 | opcode, "" } }, { WRONG })
    case(("%d, after a message"):format(opcode), { { TEXT, "fine" }, { 0x80 | opcode, "x" }, { PING, "" } },
      { { TEXT, "fine" }, WRONG })
  end
end)

describe("5: fragments:", function()
  case("a ping is not one", { { 0x09, "one" }, { MORE, "two" } }, { WRONG })
  case("a pong is not one", { { 0x0a, "one" }, { MORE, "two" } }, { WRONG })
  case("a Close is not one", { { 0x08, code(1000) }, { MORE, "x" } }, { WRONG })
  case("two make a text", { { OPEN_TEXT, "one" }, { MORE, "two" }, BYE }, { { TEXT, "onetwo" }, BYE })
  case("two make a binary message", { { OPEN_BINARY, "\xff" }, { MORE, "\0" }, BYE }, { { BINARY, "\xff\0" }, BYE })
  case("empty ones count as well", { { OPEN_TEXT, "" }, { OPEN_MORE, "" }, { OPEN_MORE, "x" }, { MORE, "" }, BYE },
    { { TEXT, "x" }, BYE })
  case("a ping between them is answered at once",
    { { OPEN_TEXT, "one" }, { PING, "ping" }, { MORE, "two" }, BYE },
    { { PONG, "ping" }, { TEXT, "onetwo" }, BYE })
  case("pings between five of them are, too", {
    { OPEN_TEXT, "1" }, { OPEN_MORE, "2" }, { PING, "a" }, { OPEN_MORE, "3" }, { OPEN_MORE, "4" }, { PING, "b" },
    { MORE, "5" }, BYE,
  }, { { PONG, "a" }, { PONG, "b" }, { TEXT, "12345" }, BYE })
  case("the last of nothing", { { MORE, "none" }, { TEXT, "late" } }, { WRONG })
  case("one of nothing", { { OPEN_MORE, "none" }, { TEXT, "late" } }, { WRONG })
  case("one of nothing after a message", { { TEXT, "fine" }, { MORE, "none" } }, { { TEXT, "fine" }, WRONG })
  case("one after the last", { { OPEN_TEXT, "one" }, { MORE, "two" }, { OPEN_MORE, "three" }, { TEXT, "late" } },
    { { TEXT, "onetwo" }, WRONG })
  case("another message inside one", { { OPEN_TEXT, "one" }, { TEXT, "two" } }, { WRONG })
  case("a beginning inside one", { { OPEN_TEXT, "one" }, { OPEN_BINARY, "two" } }, { WRONG })
  case("a Close inside a message ends it", { { OPEN_TEXT, "one" }, BYE, { MORE, "two" } }, { BYE })
end)

-- What text must be (RFC 3629); the classical boundaries.
local GOOD = {
  "\u{3ba}\u{1f79}\u{3c3}\u{3bc}\u{3b5}", "Hello-\u{b5}@\u{df}\u{f6}\u{e4}\u{fc}\u{e0}\u{e1}-UTF-8!!", "\0", "\x7f",
  "\u{80}", "\u{7ff}", "\u{800}", "\u{d7ff}", "\u{e000}", "\u{ffff}", "\u{fffd}", "\u{fffe}", "\u{1fffe}",
  "\u{10000}", "\u{10ffff}", "\u{feff}",
}
local BAD = {
  "\x80", "\xbf", "\x80\xbf", "\x80\xbf\x80\xbf\x80\xbf", "\xc0", "\xc1", "\xc0\xaf", "\xc1\xbf", "\xc0\x80", "\xc2 ",
  "\xdf ", "\xe0\x80\xaf", "\xe0\x9f\xbf", "\xe0\x80\x80", "\xe0 ", "\xef\xbf ", "\xed\xa0\x80", "\xed\xad\xbf",
  "\xed\xae\x80", "\xed\xaf\xbf", "\xed\xb0\x80", "\xed\xbf\xbf", "\xed\xa0\x80\xed\xb0\x80", "\xf0\x80\x80\xaf",
  "\xf0\x8f\xbf\xbf", "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xf7\xbf\xbf\xbf",
  "\xf8\x88\x80\x80\x80", "\xfb\xbf\xbf\xbf\xbf", "\xfc\x84\x80\x80\x80\x80", "\xfd\xbf\xbf\xbf\xbf\xbf", "\xfe",
  "\xff",
}
local CUT = { "\xc2", "\xdf", "\xe0\xa0", "\xef", "\xef\xbf", "\xf0\x90", "\xf0\x90\x80", "\xf4\x8f\xbf" }

local function hex(text) return (text:gsub(".", function(c) return ("%02x"):format(c:byte()) end)) end

describe("6: text", function()
  case("may be empty", { { TEXT, "" }, { OPEN_TEXT, "" }, { MORE, "" }, BYE }, { { TEXT, "" }, { TEXT, "" }, BYE })
  for _, text in ipairs(GOOD) do
    case("is " .. hex(text), { { TEXT, text }, BYE }, { { TEXT, text }, BYE })
    local sent, last = { { OPEN_TEXT, "" } }, #text
    for i = 1, last do sent[#sent + 1] = { i < last and OPEN_MORE or MORE, text:sub(i, i) } end
    sent[#sent + 1] = BYE
    case("is, in frames of a byte, " .. hex(text), sent, { { TEXT, text }, BYE })
  end
  for _, text in ipairs(BAD) do
    case("is not " .. hex(text), { { TEXT, "x" .. text .. "x" } }, { NOT_UTF8 })
    case("is not, as soon as it is seen in a fragment, " .. hex(text), { { OPEN_TEXT, text .. "x" } }, { NOT_UTF8 })
    case("is not, in two frames, " .. hex(text), { { OPEN_TEXT, text:sub(1, 1) }, { OPEN_MORE, text:sub(2) .. "x" } },
      { NOT_UTF8 })
  end
  for _, text in ipairs(CUT) do
    case("does not end with " .. hex(text), { { TEXT, "x" .. text } }, { NOT_UTF8 })
    case("may not be cut by its last frame after " .. hex(text), { { OPEN_TEXT, text }, { MORE, "" } }, { NOT_UTF8 })
  end
  case("is told wrong before its frame has come whole", { { OPEN_TEXT, "\xce\xba\xed\xa0\x80" .. ("x"):rep(50) } },
    { NOT_UTF8 })
  for _, text in ipairs(BAD) do
    case("is what a binary message need not be: " .. hex(text), { { BINARY, text }, BYE }, { { BINARY, text }, BYE })
  end
end)

describe("7: a Close", function()
  case("is answered", { BYE }, { BYE })
  case("is answered once", { BYE, BYE }, { BYE })
  case("ends the pongs", { BYE, { PING, "late" } }, { BYE })
  case("ends the messages", { BYE, { TEXT, "late" } }, { BYE })
  case("ends a message that has begun", { { OPEN_TEXT, "one" }, BYE, { MORE, "two" }, { PING, "" } }, { BYE })
  local big = ("x"):rep(256 * 1024)
  case("comes behind a long message", { { TEXT, big }, BYE, { PING, "late" } }, { { TEXT, big }, BYE })
  case("may be empty", { { CLOSE, "" } }, { { CLOSE, "" } })
  case("of one byte is none", { { CLOSE, "x" } }, { WRONG })
  case("may have a reason", { { CLOSE, code(1000, "Hello World!") } }, { BYE })
  case("has a reason of 123 bytes at most", { { CLOSE, code(1000, ("*"):rep(123)) } }, { BYE })
  case("of 126 bytes is none", { { CLOSE, code(1000, ("*"):rep(124)) } }, { WRONG })
  for _, text in ipairs { "\xce\xba\xed\xa0\x80edited", "\xff", "\xc3" } do
    case("has a reason in UTF-8, not " .. hex(text), { { CLOSE, code(1000, text) } }, { NOT_UTF8 })
  end
  for _, number in ipairs {
    1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999,
  } do
    case(("may say %d"):format(number), { { CLOSE, code(number) } }, { { CLOSE, code(number) } })
    case(("may say %d and why"):format(number), { { CLOSE, code(number, "why") } }, { { CLOSE, code(number) } })
  end
  for _, number in ipairs { 0, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535 } do
    case(("may not say %d"):format(number), { { CLOSE, code(number) } }, { WRONG })
    case(("may not say %d and why"):format(number), { { CLOSE, code(number, "why") } }, { WRONG })
  end
end)

describe("9: long messages:", function()
  local MIB = 1024 * 1024
  local opts = { max_message = 4 * MIB }
  local long = ("\xff"):rep(4 * MIB)
  case("4 MiB", { { BINARY, long }, BYE }, { { BINARY, long }, BYE }, opts)
  for _, size in ipairs { 65536, 262144, MIB } do
    local data = ("0123456789abcdef"):rep(size // 16)
    case(("%d bytes"):format(size), { { BINARY, data }, BYE }, { { BINARY, data }, BYE }, opts)
    case(("%d bytes of text"):format(size), { { TEXT, data }, BYE }, { { TEXT, data }, BYE }, opts)
  end
  case("one byte too many", { { BINARY, ("x"):rep(MIB + 1) } }, { TOO_BIG })
  for _, part in ipairs { 512, 65536, 262144 } do
    local sent = {}
    for at = 1, MIB, part do sent[#sent + 1] = { at == 1 and OPEN_BINARY or OPEN_MORE, ("y"):rep(part) } end
    sent[#sent][1] = #sent == 1 and BINARY or MORE
    sent[#sent + 1] = BYE
    case(("a MiB in fragments of %d"):format(part), sent, { { BINARY, ("y"):rep(MIB) }, BYE })
  end
  for _, size in ipairs { 0, 16, 256, 2048 } do
    local sent, expected = {}, {}
    for i = 1, 100 do sent[i] = { TEXT, ("z"):rep(size) } end
    sent[101] = BYE
    for i = 1, 101 do expected[i] = sent[i] end
    case(("a hundred of %d bytes"):format(size), sent, expected)
  end
end)

-- A text that compresses as text does, different at each place.
local function prose(size, at)
  local words = { "when", "in", "the", "course", "of", "human", "events", "it", "becomes", "necessary" }
  local out, length, i = {}, 0, at
  while length < size do
    i = (i * 7 + 3) % 9973
    out[#out + 1] = words[i % #words + 1] .. (i % 13 == 0 and tostring(i) or "")
    length = length + #out[#out] + 1
  end
  return table.concat(out, " "):sub(1, size)
end

-- Between two ends of ours: sizes, and all that can be agreed on. Fragments are in websocket_deflate_spec.lua.
local function compressed(title, opts, offer, sizes, kind)
  it(title, function()
    local answer = offer and core.accept(opts, offer) or core.accept(opts, core.offer(opts))
    local a, b = frames.pair(opts, answer)
    local echoing = task.spawn(echo, b)
    for n, size in ipairs(sizes) do
      for i = 1, 5 do
        local data = prose(size, n * 5 + i)
        local sending = task.spawn(function() assert(a:send(data, kind)) end)
        local got, what = a:receive()
        assert.is_true(got == data)
        assert.equal(kind, what)
        sending:join()
      end
    end
    assert.is_true(a:finish())
    assert(echoing:join())
  end)
end

describe("12: compressed messages of all sizes,", function()
  local sizes = { 0, 1, 16, 64, 256, 1024, 4096, 8192, 16384, 32768, 65536, 131072 }
  compressed("texts", { compression = { min_size = 0, window_bits = 15 } }, nil, sizes, "text")
  compressed("binary", { compression = { min_size = 0 } }, nil, sizes, "binary")
  compressed("the fastest way", { compression = { level = 1 } }, nil, sizes, "text")
  compressed("the smallest way", { compression = { level = 9 } }, nil, sizes, "text")
end)

describe("13: compressed messages after an offer", function()
  local PD = "permessage-deflate"
  local sizes = { 16, 1024, 8192, 65536 }
  for _, offer in ipairs {
    PD,
    PD .. "; client_max_window_bits",
    PD .. "; client_no_context_takeover; server_no_context_takeover",
    PD .. "; client_max_window_bits=9; server_max_window_bits=9",
    PD .. "; client_max_window_bits=15; server_max_window_bits=15",
    PD .. "; client_max_window_bits=8; server_max_window_bits=8",
    PD .. "; client_no_context_takeover; client_max_window_bits=9; server_max_window_bits=10",
    PD .. "; server_no_context_takeover; client_max_window_bits, " .. PD .. "; client_max_window_bits",
    PD .. "; unknown, " .. PD,
  } do
    for _, bits in ipairs { 9, 12, 15 } do
      compressed(("'%s' to a server of %d bits"):format(offer, bits),
        { compression = { min_size = 0, window_bits = bits } }, offer, sizes, "text")
    end
  end
end)
