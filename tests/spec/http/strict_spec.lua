--- moonlet.http: what is no request of RFC 9112 is refused, wherever its bytes are cut; nothing behind it is served;
-- and no request that node refuses is served here.

local support = dofile "tests/spec/support.lua"
local groups = dofile "tests/spec/http/strict_requests.lua"
local http = require "moonlet.http"
local net = require "moonlet.net"
local task = require "moonlet.task"
local it = support.limited(it)

-- What follows each request in the same connection.
local SECOND = "GET /second HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

-- The targets of the requests that were served, while one plays.
local served

local server = http.server({ on_error = function() end }, function(req)
  local body, message, code = req:body()
  if not body then return nil, message, code end
  served[#served + 1] = req.target
  return 200, ""
end)

-- What the server answers to the pieces, each sent once all before it was taken: its statuses; then what it served.
local function play(...)
  local here <close>, there = net.memory_pair()
  served = {}
  local serving = task.spawn(server.serve, server, there)
  for _, piece in ipairs { ... } do
    here:write(piece)
    task.yield()
    task.yield()
  end
  here:shutdown "write"
  local answer = here:read_all() or ""
  serving:join()
  local statuses = {}
  for status in answer:gmatch "HTTP/1.1 (%d%d%d)" do
    if status ~= "100" then statuses[#statuses + 1] = status end
  end
  return table.concat(statuses, " "), table.concat(served, " ")
end

local function show(text)
  text = ("%q"):format(text:sub(1, 300)):gsub("\\\n", "\\n"):gsub("\\13", "\\r")
  return text
end

-- Each request of a group with its status.
local function each(group)
  local i = 0
  return function()
    i = i + 1
    local case = group[2][i]
    if case then return case[1], case[2] end
  end
end

describe("a server that is asked with", function()
  for _, group in ipairs(groups) do
    it(group[1] .. " serves or refuses them, and nothing behind what it refuses", function()
      for text, status in each(group) do
        local behind = text:find "^CONNECT" and "" or SECOND
        local expected = status == 200 and behind ~= "" and "200 200" or status and tostring(status) or ""
        if not status then behind = "" end
        local statuses, targets = play(text .. behind)
        assert.equal(expected, statuses, show(text))
        if status ~= 200 then assert.equal("", targets, show(text)) end
      end
    end)

    it(group[1] .. " says the same wherever their bytes are cut", function()
      for text, status in each(group) do
        local all = status and not text:find "^CONNECT" and text .. SECOND or text
        local statuses, targets = play(all)
        for at = 1, #text < 500 and #text or 0 do
          local cut_statuses, cut_targets = play(all:sub(1, at), all:sub(at + 1))
          assert.equal(statuses, cut_statuses, show(text) .. " cut behind byte " .. at)
          assert.equal(targets, cut_targets, show(text) .. " cut behind byte " .. at)
        end
      end
    end)
  end
end)

-- ---- beside node ----

-- Reads requests in hexadecimal, one a line; prints how many requests node's server made of each. They come byte by
-- byte, for node drops a request that is whole if something bad is behind it in the same piece.
local NODE = [[
const http = require("http"), { Duplex } = require("stream");
const lines = require("fs").readFileSync(0, "latin1").split("\n").filter(x => x.length);
function play(bytes) {
  return new Promise(done => {
    let served = 0, isOver = false;
    const over = () => { if (!isOver) { isOver = true; setImmediate(() => done(served)) } };
    const server = http.createServer((req, res) => {
      req.on("data", () => {});
      req.on("error", () => {});
      req.on("end", () => { served++; res.end() });
    });
    server.on("connect", () => { served++; over() });
    server.httpAllowHalfOpen = true;
    const s = new Duplex({ read() {}, write(c, e, f) { f() }, final(f) { f(); over() },
      destroy(e, f) { f(e); over() } });
    s.on("error", () => {});
    server.emit("connection", s);
    let at = 0;
    const next = () => {
      if (isOver) return;
      if (at == bytes.length) return s.push(null);
      s.push(bytes.subarray(at, ++at));
      setImmediate(next);
    };
    next();
  });
}
(async () => {
  for (let i = 0; i < lines.length; i += 100)
    for (const n of await Promise.all(lines.slice(i, i + 100).map(l => play(Buffer.from(l, "hex"))))) console.log(n);
})();
]]

-- How many requests node serves of each text.
local function ask_node(texts)
  local script, input = os.tmpname(), os.tmpname()
  local file = assert(io.open(script, "w"))
  file:write(NODE)
  file:close()
  file = assert(io.open(input, "w"))
  for _, text in ipairs(texts) do
    file:write((text:gsub(".", function(c) return ("%02x"):format(c:byte()) end)), "\n")
  end
  file:close()
  local counts = {}
  local pipe <close> = assert(io.popen(("node %s < %s"):format(script, input)))
  for count in pipe:lines "n" do counts[#counts + 1] = count end
  os.remove(script)
  os.remove(input)
  assert.equal(#texts, #counts)
  return counts
end

-- What the RFCs allow and node does not: methods other than those that it lists, digits, '+' and '-' in a scheme, a
-- tab behind the value of a field that frames.
local function is_allowed(text)
  local method = text:match "^[\r\n]*([%w!#$%%&'*+.^_`|~-]+) "
  if method and not (" GET POST HEAD PUT DELETE OPTIONS CONNECT "):find(" " .. method .. " ", 1, true) then
    return true
  end
  return text:find "^%u+ %a+[%d+-]%w*://" ~= nil or text:find "\r\nContent%-Length: %d+\t\r\n" ~= nil
    or text:find "\r\nTransfer%-Encoding: chunked\t\r\n" ~= nil
end

local function check_beside_node(texts)
  local counts = ask_node(texts)
  for i, text in ipairs(texts) do
    local _, targets = play(text)
    local _, ours = targets:gsub("%S+", "")
    if ours > counts[i] and not is_allowed(text) then
      error(("node serves %d of the requests in %s, we serve %d"):format(counts[i], show(text), ours), 0)
    end
  end
end

-- The text with each of the bytes in each place, instead of what is there or before it, and without each byte.
local function changed(text, bytes, add)
  for at = 1, #text do
    add(text:sub(1, at - 1) .. text:sub(at + 1))
    for byte in bytes:gmatch "." do
      add(text:sub(1, at - 1) .. byte .. text:sub(at))
      add(text:sub(1, at - 1) .. byte .. text:sub(at + 1))
    end
  end
end

local CHANGED = {
  "POST /a?b HTTP/1.1\r\nHost: a\r\nX: y z\r\nTransfer-Encoding: chunked\r\n\r\n2;x=\"y\"\r\nab\r\n0\r\nT: u\r\n\r\n",
  "POST http://a:1/ HTTP/1.1\r\nHost: b\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nab",
}

describe("beside node, a server", function()
  if not os.execute "node --version >/dev/null 2>&1" then
    pending "is not compared: node is not installed"
    return
  end

  it("refuses each request of the table that node refuses", function()
    local texts = {}
    for _, group in ipairs(groups) do
      for text in each(group) do
        if #text < 5000 then texts[#texts + 1] = text end
      end
    end
    assert.is_true(#texts >= 150)
    check_beside_node(texts)
  end)

  it("refuses what node refuses if one byte is another, is missing or one more is there", function()
    local texts = {}
    for _, text in ipairs(CHANGED) do
      changed(text, "\0\r\n\t ,:;+-0\"\x7f\x80", function(other) texts[#texts + 1] = other end)
    end
    check_beside_node(texts)
  end)
end)
