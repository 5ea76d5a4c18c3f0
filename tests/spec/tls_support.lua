--- What the specs of TLS share: certificates, and options that use them.

local credentials = {}

local directory

--- Makes the certificates: for setup().
function credentials.make()
  directory = os.tmpname()
  os.remove(directory)
  assert(os.execute(("mkdir '%s' && sh tests/support/make_certificates.sh '%s'"):format(directory, directory)))
end

--- Removes them: for teardown().
function credentials.remove()
  os.execute(("rm -r '%s'"):format(directory))
end

--- The path of a file that make_certificates.sh made.
function credentials.file(name) return directory .. "/" .. name end

--- The options of who shows a certificate.
function credentials.shows(name, options)
  options = options or {}
  options.cert_file, options.key_file = credentials.file(name .. ".pem"), credentials.file(name .. ".key")
  return options
end

--- The options of a client that trusts the tests' own root.
function credentials.trusts(options)
  options = options or {}
  options.ca_file = credentials.file "root.pem"
  options.server_name = options.server_name or "good.example"
  return options
end

return credentials
