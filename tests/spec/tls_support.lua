--- What the specs of TLS share: certificates, and options that use them.

local credentials = {}

local directory

--- Makes the certificates, for setup(): in a directory that exists, or in one of their own.
function credentials.make(existing)
  directory = existing
  if not directory then
    directory = os.tmpname()
    os.remove(directory)
    assert(os.execute(("mkdir '%s'"):format(directory)))
  end
  assert(os.execute(("sh tests/support/make_certificates.sh '%s'"):format(directory)))
end

--- Removes the directory: for teardown().
function credentials.remove()
  os.execute(("rm -r '%s'"):format(directory))
end

--- The path of a file in that directory: one that make_certificates.sh made, or another.
function credentials.file(name) return directory .. "/" .. name end

--- The text of such a file.
function credentials.read(name)
  local source <close> = assert(io.open(credentials.file(name)))
  return source:read "a"
end

--- The options of who shows a certificate.
function credentials.shows(name, options)
  options = options or {}
  options.cert_file, options.key_file = credentials.file(name .. ".pem"), credentials.file(name .. ".key")
  return options
end

--- The options of a client that trusts the tests' own root, unless it names others.
function credentials.trusts_root(options)
  options = options or {}
  if not options.ca then options.ca_file = options.ca_file or credentials.file "root.pem" end
  return options
end

--- The same of one that asks for good.example, whatever it connects to, unless it names another.
function credentials.trusts(options)
  options = credentials.trusts_root(options)
  options.server_name = options.server_name or "good.example"
  return options
end

return credentials
