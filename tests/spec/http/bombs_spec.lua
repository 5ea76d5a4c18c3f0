--- Content that becomes huge when it is decoded: it ends with an error at the limit, and costs little until then.

local support = dofile "tests/spec/support.lua"
local frames = require "tests.spec.http.websocket_frames"
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"
local it = support.limited(it)

local LIMIT, COST = 100000, 1024 * 1024

local function output(command)
  local pipe <close> = assert(io.popen(command, "r"))
  return pipe:read "a"
end

-- Zstandard: blocks of 128 KiB that are one byte repeated. 10 KB for 330 MB.
local function zstd()
  return "\x28\xb5\x2f\xfd\0\x68" .. ("\x02\0\x10x"):rep(2500) .. "\x03\0\x10x"
end

-- Brotli: 430 MB in 10 KB, of what its encoder makes of 16 MB in the middle of zeros.
local BROTLI = [[node -e '
const c = require("zlib").createBrotliCompress({ params: { 0: 0, 1: 3, 2: 18 } }), zeros = Buffer.alloc(1 << 24);
const out = [];
function next() {
  c.write(zeros, () => c.flush(() => {
    const parts = []; for (let p; (p = c.read()) !== null;) parts.push(p);
    out.push(Buffer.concat(parts));
    if (out.length < 4) return next();
    if (!out[2].equals(out[3])) process.exit(1);
    process.stdout.write(Buffer.concat([out[0], out[1], ...Array(24).fill(out[2]), Buffer.from([3])]));
  }));
}
next();']]

local function gzip() return output "head -c 10000000 /dev/zero | gzip -9" end

-- Bytes of memory at most that the process has had more than before.
local function cost_of(fn)
  local function read(name)
    for line in io.lines "/proc/self/status" do
      local size = line:match("^" .. name .. ":%s+(%d+) kB")
      if size then return tonumber(size) * 1024 end
    end
  end
  fn() -- what is needed once is there
  collectgarbage()
  local file = assert(io.open("/proc/self/clear_refs", "w"))
  file:write "5"
  file:close()
  local before = read "VmRSS"
  fn()
  return read "VmHWM" - before
end

-- Whether memory that was freed is kept aside, by a sanitizer.
local is_sanitized = output "grep -c libasan /proc/$PPID/maps":match "^0" == nil

local function client_of(coding, body)
  return http.client { connect = function()
    local near, far = net.memory_pair()
    task.spawn({ daemon = true }, function()
      local s <close> = far
      s:read_until "\r\n\r\n"
      s:write("HTTP/1.1 200 OK\r\ncontent-encoding: ", coding, "\r\ncontent-length: ", #body, "\r\n\r\n", body)
      s:read_all()
    end)
    return near
  end }
end

local BOMBS = { gzip = gzip, zstd = zstd, br = function() return output(BROTLI) end }

describe("http.client", function()
  for coding, make in pairs(BOMBS) do
    it("ends a bomb of " .. coding .. " at its limit, without memory", function()
      local body = make()
      if body == "" then return pending "the program that makes it is not installed" end
      assert.is_true(#body < 20000, #body .. " bytes")
      local function ask()
        local c <close> = client_of(coding, body)
        local r, message, code = c:get("http://a/", { max_body = LIMIT })
        assert.equal("EMSGSIZE", r == nil and code, message)
        assert.same({ 0, 0 }, { c:stats().open, c:stats().idle })
      end
      local cost = cost_of(ask)
      if not is_sanitized then assert.is_true(cost < COST, ("%d bytes"):format(cost)) end
    end)

    it("reads one of " .. coding .. " piece by piece, as far as it wants", function()
      local body = make()
      if body == "" then return pending "the program that makes it is not installed" end
      local c <close> = client_of(coding, body)
      local r <close> = assert(c:stream "http://a/")
      local size = 0
      for piece in r:chunks() do
        assert.is_true(#piece <= 1024 * 1024)
        size = size + #piece
        if size > 5000000 then break end
      end
      assert.is_true(size > 5000000)
    end)
  end
end)

describe("a WebSocket", function()
  it("ends a bomb at its limit, without memory", function()
    local zipped = gzip()
    local body = zipped:sub(11, -9) -- DEFLATE alone
    local function receive()
      local ws, peer = frames.raw(true, { compression = true, max_message = LIMIT }, "permessage-deflate")
      local writing = task.spawn(function() peer:write(frames.frame(0xc2, body)) end)
      assert.same({ "EMSGSIZE" }, { select(3, ws:receive()) })
      assert.same({ 0x88, frames.code(1009) }, { frames.read(peer) })
      frames.leave(ws, peer)
      writing:join()
    end
    local cost = cost_of(receive)
    if not is_sanitized then assert.is_true(cost < COST, ("%d bytes"):format(cost)) end
  end)
end)
