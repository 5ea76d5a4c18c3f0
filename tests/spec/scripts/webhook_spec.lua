-- scripts/webhook.lua, with signatures of ours, of openssl, and the one that GitHub's documentation has.

local crypto = require "moonlet.crypto"
local http = require "moonlet.http"
local programs = dofile "tests/spec/programs.lua"
local support = dofile "tests/spec/support.lua"
local it = support.limited(it)

local SECRET = "It's a Secret to Everybody"

local EVENT = '{"action": "opened", "repository": {"full_name": "moon/let"}, "number": %d}'

describe("scripts/webhook.lua", function()
  local directory, client, url, hook

  local function command(...)
    return ("env WEBHOOK_SECRET=%s %s"):format(programs.quote(SECRET), programs.command_line("webhook.lua", ...))
  end

  -- What the hook answers to the body; signature: a string, or nil for the right one, or false for none.
  local function post(body, signature)
    if signature == nil then signature = "sha256=" .. crypto.hex(crypto.hmac("sha256", SECRET, body)) end
    local headers = { ["x-github-event"] = "pull_request", ["x-hub-signature-256"] = signature or nil }
    local r = assert(client:post(url, { body = body, headers = headers }))
    return r.status
  end

  setup(function() directory = programs.open_directory() end)
  teardown(programs.remove_directory)
  after_each(programs.stop_all)

  local function with_hook(title, body)
    it(title, function()
      hook = programs.start(command("-p", 0))
      url = hook:printed "listening on %S+ for (%S+)\n"
      client = http.client()
      body()
      client:close()
    end)
  end

  with_hook("accepts what is signed, and tells of it", function()
    assert.equal(202, post(EVENT:format(1)))
    hook:printed "127.0.0.1\tpull_request\tmoon/let\topened\n"
    assert.equal(202, post('{"repository": "\\n", "action": {"a": 1}, "x": "' .. ("x"):rep(2000000) .. '"}'))
    hook:printed "127.0.0.1\tpull_request\t%-\t%-\n"
    assert.equal("", hook:errors())
  end)

  -- The signature is the example of GitHub's documentation, whose body is no JSON.
  with_hook("computes signatures as GitHub does", function()
    local known = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    assert.equal(400, post("Hello, World!", known))
    assert.equal(401, post("Hello, World?", known))
  end)

  with_hook("refuses every other signature", function()
    local body = EVENT:format(2)
    local good = crypto.hex(crypto.hmac("sha256", SECRET, body))
    local bad = {
      false, "", "sha256=", good, "sha1=" .. good, "sha256=" .. good:sub(1, 63), "sha256=" .. good .. "00",
      "sha256=" .. good .. ", sha256=" .. good, "sha256=" .. ("0"):rep(64),
      "sha256=" .. crypto.hex(crypto.hmac("sha256", "another secret of length", body)),
    }
    for i = 1, 64, 7 do -- a digit that differs, wherever
      local digit = good:sub(i, i) == "0" and "1" or "0"
      table.insert(bad, "sha256=" .. good:sub(1, i - 1) .. digit .. good:sub(i + 1))
    end
    for _, signature in ipairs(bad) do assert.equal(401, post(body, signature), signature) end
    assert.equal(#bad, select(2, hook:output():gsub("refused\tno valid signature\n", "")))
    assert.equal(202, post(body, "sha256=" .. good:upper()))
  end)

  with_hook("refuses what came before, also in other letters", function()
    local body = EVENT:format(3)
    assert.equal(202, post(body))
    assert.equal(409, post(body))
    local digits = crypto.hex(crypto.hmac("sha256", SECRET, body)):upper()
    assert.equal(409, post(body, "sha256=" .. digits))
    hook:printed "refused\tcame before\n"
    assert.equal(202, post(EVENT:format(4)))
  end)

  with_hook("answers nothing but POST /hook", function()
    assert.equal(405, assert(client:get(url)).status)
    assert.equal(404, assert(client:post((url:gsub("/hook$", "/")), { body = "{}" })).status)
    assert.equal(400, post "[" )
  end)

  with_hook("understands curl and openssl", function()
    for _, program in ipairs { "curl", "openssl" } do
      if not programs.installed(program) then pending(program .. " is not installed") end
    end
    programs.write_file(directory .. "/body", EVENT:format(5))
    local output, errors = programs.run(([[
      cd %s
      signature=$(openssl dgst -sha256 -hmac %s body | sed 's/.*= //')
      curl -sS --noproxy '*' -H "X-Hub-Signature-256: sha256=$signature" -H 'X-GitHub-Event: push' \
        --data-binary @body -w '%%{http_code}' %s]]):format(programs.quote(directory), programs.quote(SECRET), url))
    assert.same({ "accepted\n202", "" }, { output, errors })
    hook:printed "127.0.0.1\tpush\tmoon/let\topened\n"
  end)

  it("wants a secret, and says what is wrong with its arguments", function()
    programs.refuse_words("webhook.lua", { { "x" }, { "-p" }, { "-p", "x" }, { "-p", "70000" } })
    local _, errors, status = programs.run("env WEBHOOK_SECRET=short " .. programs.command_line("webhook.lua", "-p", 0))
    assert.same({ "webhook: WEBHOOK_SECRET must be set, to 16 bytes or more\n", 1 }, { errors, status })
  end)
end)
