--- A certificate for the loopback interface and its key (EC P-256), made by the openssl program.
local process = require "process"

local certificate = {}

local function remove(credentials)
  os.execute("rm -rf " .. process.quote(credentials.directory))
end

--- Makes one in a directory of its own, which is removed with the value: use it in a `<close>`
-- variable.
-- @treturn ?table `cert` and `key`: files; or nil and a reason
function certificate.make()
  if not process.installed("openssl") then return nil, "openssl is not installed" end
  local directory = process.capture({"mktemp", "-d"}):match("[^\n]+")
  local credentials = setmetatable({
    directory = directory, cert = directory .. "/cert.pem", key = directory .. "/key.pem",
  }, {__close = remove})
  local made, reason = process.capture {
    "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
    "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
    "-keyout", credentials.key, "-out", credentials.cert,
  }
  if made then return credentials end
  remove(credentials)
  return nil, reason
end

return certificate
