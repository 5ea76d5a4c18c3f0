---@meta moonlet.net

---An address: cannot be changed, is compared by value, prints as text, and can stand in place of host
---and port. pairs() iterates over its fields.
---@class moonlet.net.Address
---@field family string "inet", "inet6" or "unix"
---@field host string|nil numeric; nil in the Unix domain
---@field port integer|nil nil in the Unix domain
---@field path string|nil of the Unix domain; an abstract name begins with "@"
local Address = {}

---Certificates, keys and rules of TLS connections.
---@class moonlet.net.Context
local Context = {}

---Reads the files again: new connections use their present content, existing ones stay as they are. A
---server that asks for no certificate still resumes earlier sessions. Other servers, and clients,
---begin anew, since a peer that resumes is not verified again.
---@return boolean|nil # true; or nil, message, code, and all is as before
---@return string|nil # message
---@return string|nil # code
function Context:reload() end

---A socket that accepts connections. `<close>` closes it.
---@class moonlet.net.listener
local listener = {}

---Waits for a connection; while the process has no descriptor left, also for one. May wait.
---@param timeout? number seconds
---@return moonlet.net.stream|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function listener:accept(timeout) end

---Iterates over connections until the listener is closed. Waits as accept() does.
---@return fun(): moonlet.net.stream # an iterator
function listener:accepted() end

---Returns the local address. Never waits.
---@return moonlet.net.Address|nil # on which it listens; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function listener:address() end

---Closes at once; the task that accepts gets nil, "closed", "CLOSED". Idempotent, never waits.
function listener:close() end

---@class moonlet.net.listener.serve.options
---@field max? integer connections at a time: while there are so many, further ones wait in the backlog
---@field on_error? function on_error(err, conn, traceback), called in the task of a handler that has failed, while conn is open; may wait. Without it the error is reported as if no task had joined the handler, unless it is a reset: a table whose code is "ECONNRESET" or "EPIPE"

---Serves each connection in a task of its own, until the listener is closed, by stop() or
---otherwise, and every handler has ended. Cancelled, it cancels the handlers and waits for their
---end; the listener stays open. May wait.
---@param opts? moonlet.net.listener.serve.options
---@param handler fun(stream: moonlet.net.stream) called with the stream, which is closed when it has returned or failed, even if other code still has it. A handler that was cancelled has not failed.
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
---@overload fun(self: moonlet.net.listener, handler: fun(stream: moonlet.net.stream)): boolean|nil, string|nil, string|nil
function listener:serve(opts, handler) end

---Stops serving: closes the listener, waits for the handlers, and cancels those that have not
---ended after the grace. serve() then returns true. Called by a handler it does not wait: the grace
---passes while that one goes on. Harmless on a listener that is not served, and a second time. May
---wait.
---@param grace? number seconds; 0: cancels at once; without it waits without a limit
---@return integer # how many handlers were cancelled, by this call of stop() or another
function listener:stop(grace) end

---Name servers, time limits and a hosts file to ask for names. `<close>` closes it.
---@class moonlet.net.resolver
local resolver = {}

---Closes at once; tasks that wait for an answer get nil, "name: closed", "CLOSED". Idempotent, never
---waits.
function resolver:close() end

---As net.resolve, with this resolver. May wait.
---@param name string
---@param opts? table as for net.resolve
---@return table|nil # a list; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function resolver:resolve(name, opts) end

---A connection: over TCP, TLS, in the Unix domain or in memory. It prints as its addresses and state;
---`<close>` closes it.
---@class moonlet.net.stream
local stream = {}

---Returns the local address. Never waits.
---@return moonlet.net.Address|nil # of this end; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function stream:address() end

---Iterates over what arrives, as read_some() returns it. Otherwise like lines(). Waits as read_some()
---does.
---@param max? integer bytes of each
---@return fun(): string # an iterator
function stream:chunks(max) end

---Closes at once. Tasks that wait in the stream get nil, "closed", "CLOSED". Idempotent, never waits.
function stream:close() end

---Returns the identity of the process at the other end of a stream of the Unix domain, as it was when
---it connected or listened. Never waits.
---@return table|nil # `{pid=, uid=, gid=}`; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function stream:credentials() end

---Ends the output, drops further input, waits for the end of the peer's output and closes. So the peer
---gets everything; close() with input unread could cut it off. Closes in any case, unless another task
---reads ("EBUSY"). May wait.
---@param s? number seconds for the whole call
---@param max? integer bytes to drop; a peer that sends more is "EMSGSIZE"
---@return boolean|nil # true once the peer has ended, too; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function stream:finish(s, max) end

---Makes the handshake now instead of at the first use. May wait.
---@param timeout? number seconds
---@return boolean|nil # true; or nil, message, code ("ETLS": the certificate was refused, for example; "EOPNOTSUPP": no TLS)
---@return string|nil # message
---@return string|nil # code
function stream:handshake(timeout) end

---Iterates over the lines; ends at the end of the stream or when it is closed here. Waits as
---read_line() does; other failures raise {message=, code=}.
---@param ... any formats of read(), each step gives their values, and the first nil ends the loop; without one it gives lines as read_line() does
---@return fun(): string # an iterator
function stream:lines(...) end

---The next n bytes, which stay for the next read; fewer only at the end. May wait.
---@param n? integer
---@return string|nil # or nil at the end of the stream; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function stream:peek(n) end

---Returns the remote address; of a stream from a listener also when the peer has left. Never waits.
---@return moonlet.net.Address|nil # of the other end; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function stream:peer() end

---Reads by formats, as io's files do. May wait.
---@param ... any a count of bytes (fewer only at the end; 0 gives "" unless the stream has ended), "n" (a number), "l" (a line without its "\n"), "L" (with it), "a" (all)
---@return any ... # for each format a string or number; the last is nil at the end, and where there is no number. Or nil, message, code; then the next read finds the bytes that the formats before have read
function stream:read(...) end

---Reads all up to the end of the stream. May wait.
---@param max? integer bytes
---@return string|nil # "" at the end already; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function stream:read_all(max) end

---Reads n bytes. May wait.
---@param n integer
---@return string|nil # or nil at the end; the end in the middle is nil, message, "EEOF", the bytes kept
---@return string|nil # message
---@return string|nil # code
function stream:read_exactly(n) end

---Reads a line and strips its "\n" or "\r\n"; the last one may lack it. May wait.
---@param max? integer bytes, the end of the line included
---@return string|nil # or nil at the end; a longer one is nil, "line too long", "EMSGSIZE", the bytes kept
---@return string|nil # message
---@return string|nil # code
function stream:read_line(max) end

---Reads the bytes that are there, at least one. May wait.
---@param max? integer bytes at most
---@return string|nil # or nil at the end of the stream; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function stream:read_some(max) end

---Reads up to a delimiter. May wait.
---@param delimiter string
---@param max? integer bytes, the delimiter included
---@return string|nil # with the delimiter, or nil at the end; the end in the middle is nil, message, "EEOF", more than max bytes without it nil, message, "EMSGSIZE", the bytes kept either way
---@return string|nil # message
---@return string|nil # code
function stream:read_until(delimiter, max) end

---Waits for a descriptor that the other side passes. Bytes that came before it stay, to be read as
---usual. A descriptor that comes while the input behind it is read is closed, unless recv_fd is called
---right after the read that met it. May wait.
---@param timeout? number seconds; without it the time limit of reads
---@return any ... # a stream, a listener, a udp or else an io file; nil at the end of the stream; or nil, message, code
function stream:recv_fd(timeout) end

---Passes an open descriptor to the process at the other end of a stream of the Unix domain. It stays
---open here, but a path to which it was bound is no longer removed when it is closed. Bytes of a file
---or a stream that are buffered here do not go along. May wait.
---@param what moonlet.net.stream|moonlet.net.listener|moonlet.net.udp|file*|integer a stream, listener, udp, io file, or the number of a descriptor
---@param data? string at least one byte, that goes along and is read by the other side as usual. Without it a mark goes along that only recv_fd recognises and removes: give data if the other side is not moonlet
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function stream:send_fd(what, data) end

---Writes a file's content, contiguous in the stream; the kernel moves the bytes where it can. May
---wait, also for a disk: other tasks run meanwhile.
---@param file any one of io's, flushed before, one of moonlet.fs's, or a path. It must be readable at any offset, as a pipe is not
---@param offset? integer where in the file to begin. Without one an open file is sent from its position, which moves past the bytes sent; with one the position stays. A path begins at 0
---@param count? integer bytes at most; without it all up to the end of the file
---@return boolean|nil # true once the kernel has all; or nil, message, code, bytes sent
---@return integer|string|nil # bytes sent
---@return string|nil # code
function stream:sendfile(file, offset, count) end

---Sets whether the kernel probes a peer that has been silent, and ends the connection if it does not
---answer ("ETIMEDOUT" from reads and writes). Never waits.
---@param idle? any seconds of silence before the first probe; true: as many as the system says; false: off
---@param interval? number seconds between probes
---@param count? integer probes without an answer
---@return boolean|nil # true; or nil, message, code ("EOPNOTSUPP": not over TCP)
---@return string|nil # message
---@return string|nil # code
function stream:set_keepalive(idle, interval, count) end

---Limits the bytes that a later read may gather when it is given no limit of its own: then it returns
---nil, message, "EMSGSIZE", and the bytes stay. Without this the limit of read_line(), lines() and
---read_until() is 64 KiB, and read(), read_all() and lines() with a format have none.
---@param max integer|nil bytes; nil: as at first
function stream:set_limit(max) end

---Sets whether each write is sent at once (TCP_NODELAY; the default) or small ones may be collected.
---Never waits.
---@param on? boolean
---@return boolean|nil # true; or nil, message, code ("EOPNOTSUPP": not over TCP)
---@return string|nil # message
---@return string|nil # code
function stream:set_nodelay(on) end

---Limits each later read, or write, to s seconds of waiting; then it returns nil, "timeout",
---"ETIMEDOUT".
---@param s number|nil nil: no limit
---@param which? string "read" or "write"; both without it
function stream:set_timeout(s, which) end

---Ends the output: the peer reads the end of the stream, and may still write. May wait for writers.
---@param how? string only "write"
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function stream:shutdown(how) end

---Begins TLS on a plain connection and makes the handshake. May wait.
---@param opts? boolean|table|moonlet.net.Context a context; true; the options of net.tls; or `{context = ctx}`, with server_name or without. Both tables take role: "client" or "server" (by default the side that accepted the connection is the server)
---@param timeout? number seconds
---@return boolean|nil # true; or nil, message, code; "EPROTO": input that came before is still unread
---@return string|nil # message
---@return string|nil # code
function stream:starttls(opts, timeout) end

---Returns the properties that the handshake has agreed on. Never waits.
---@return table # version ("TLSv1.3"), cipher, alpn, server_name, resumed (boolean), peer (the certificate: subject, issuer, not_before and not_after in seconds since 1970, names, pem); nil before the handshake and without TLS
function stream:tls_info() end

---Writes all values without joining them first. They are contiguous in the stream, even if other tasks
---write. May wait.
---@param ... any strings, numbers, or lists of them
---@return boolean|nil # true once the kernel has all; or nil, message, code, bytes sent
---@return string|nil # message
---@return string|nil # code
function stream:write(...) end

---A datagram socket. `<close>` closes it.
---@class moonlet.net.udp
local udp = {}

---Returns the local address. Never waits.
---@return moonlet.net.Address|nil # to which it is bound; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function udp:address() end

---Closes at once. Tasks that wait in it get nil, "closed", "CLOSED". Idempotent, never waits.
function udp:close() end

---@class moonlet.net.udp.connect.options
---@field timeout? number seconds

---From now on `send` sends there, and only datagrams from there are received. Waits only to resolve a
---host name.
---@param host string|moonlet.net.Address a name or a number; or an address, or "unix:/path", in place of host and port
---@param port? integer
---@param opts? moonlet.net.udp.connect.options
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
---@overload fun(self: moonlet.net.udp, host: string|moonlet.net.Address, opts?: moonlet.net.udp.connect.options): boolean|nil, string|nil, string|nil
function udp:connect(host, port, opts) end

---Joins a multicast group, whose datagrams are received from now on. Never waits.
---@param group string a numeric address
---@param interface? string its name, number or IPv4 address
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function udp:join(group, interface) end

---Leaves a multicast group. Never waits.
---@param group string a numeric address
---@param interface? string as it was joined
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function udp:leave(group, interface) end

---Returns the remote address. Never waits.
---@return moonlet.net.Address|nil # to which it is connected; or nil, message, code ("ENOTCONN")
---@return string|nil # message
---@return string|nil # code
function udp:peer() end

---As receive_from(), without the sender, which is known for a connected socket. May wait.
---@param timeout? number seconds
---@return string|nil # data; or nil, message, code ("ECONNREFUSED": a datagram that was sent found no receiver)
---@return boolean|string|nil # whether it was longer than `max`, and the rest is lost
---@return string|nil # code
function udp:receive(timeout) end

---Waits for the next datagram. May wait.
---@param timeout? number seconds
---@return string|nil # data; or nil, message, code
---@return moonlet.net.Address|string|nil # of the sender; nil for one of the Unix domain that has no name
---@return boolean|string|nil # whether it was longer than `max`, and the rest is lost
function udp:receive_from(timeout) end

---Sends one datagram to the address that the socket is connected to. May wait for room.
---@param data string
---@param timeout? number seconds
---@return boolean|nil # true once the kernel has it; or nil, message, code ("ECONNREFUSED": an earlier one found no receiver)
---@return string|nil # message
---@return string|nil # code
function udp:send(data, timeout) end

---@class moonlet.net.udp.send_to.options
---@field timeout? number seconds

---Sends one datagram. May wait, for a host name or for room.
---@param data string
---@param host string|moonlet.net.Address a name or a number; or an address, or "unix:/path", in place of host and port
---@param port? integer
---@param opts? moonlet.net.udp.send_to.options
---@return boolean|nil # true once the kernel has it; or nil, message, code
---@return string|nil # message
---@return string|nil # code
---@overload fun(self: moonlet.net.udp, data: string, host: string|moonlet.net.Address, opts?: moonlet.net.udp.send_to.options): boolean|nil, string|nil, string|nil
function udp:send_to(data, host, port, opts) end

---@class moonlet.net.udp.set.options
---@field broadcast? boolean sending to broadcast addresses is allowed
---@field ttl? integer
---@field multicast_ttl? integer
---@field multicast_loop? boolean datagrams to a group are received on this machine, too
---@field multicast_interface? string|integer name, number or IPv4 address
---@field receive_buffer? integer bytes
---@field send_buffer? integer bytes
---@field max? integer bytes taken of a datagram, at most 65536
---@field reuse? boolean before it is bound, that is with net.udp(): the port may be in use, as for several receivers of a group
---@field reuseport? boolean before it is bound: datagrams are spread over the sockets on a port

---Sets options of the socket. Never waits.
---@param opts moonlet.net.udp.set.options
---@return boolean|nil # true; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function udp:set(opts) end

---Streams, servers, datagrams and names: over TCP, TLS, UDP and in the Unix domain.
---@class moonlet.net
local net = {}

---@class moonlet.net.connect.options
---@field timeout? number seconds for the whole call
---@field family? string "inet" or "inet6"
---@field nodelay? boolean as stream:set_nodelay
---@field keepalive? boolean as stream:set_keepalive(true)
---@field bind? string|moonlet.net.Address local numeric host or address; without a port none is reserved, and one may serve for several destinations
---@field resolver? moonlet.net.resolver
---@field tls? boolean|table|moonlet.net.Context true, the options of net.tls, a context, or {context=, server_name=}

---Connects to a server over TCP or in the Unix domain. Of several addresses the next one is tried when
---the last has failed, or has not answered for 250 ms, and the first that answers wins (RFC 8305). If
---the backlog of a server in the Unix domain is full, waits for room. May wait.
---@param host string|moonlet.net.Address a name or a number; or an address, or "unix:/path", in place of host and port
---@param port? integer
---@param opts? moonlet.net.connect.options
---@return moonlet.net.stream|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
---@overload fun(host: string|moonlet.net.Address, opts?: moonlet.net.connect.options): moonlet.net.stream|nil, string|nil, string|nil
function net.connect(host, port, opts) end

---@class moonlet.net.inherited.options
---@field nodelay? boolean of the accepted streams
---@field keepalive? boolean of the accepted streams

---The listening sockets that the process was started with (`LISTEN_FDS`, `LISTEN_PID`,
---`LISTEN_FDNAMES`, see sd_listen_fds(3)). The first call takes them and removes those variables from
---the environment; a later one finds none. Descriptors that are no listening stream sockets stay as
---they are. In a worker (moonlet.worker) they are those that its master was started with, which the
---workers share. May wait for the master.
---@param opts? moonlet.net.inherited.options
---@return moonlet.net.listener[] # empty when there are none, or they are meant for another process
---@return string[] # the name of each, "unknown" without one
function net.inherited(opts) end

---@class moonlet.net.listen.options
---@field family? string "inet" or "inet6"
---@field backlog? integer connections that may wait to be accepted
---@field reuseport? boolean connections are spread over the listeners on a port; in a worker (moonlet.worker) over the workers, each of which has a queue of its own
---@field exclusive? boolean in a worker: the socket is its own; otherwise all workers share it
---@field nodelay? boolean of the accepted streams
---@field keepalive? boolean of the accepted streams
---@field tls? table|moonlet.net.Context the options of net.tls with a certificate, or a context; an accepted stream makes the handshake at its first use

---Listens for connections over TCP or in the Unix domain. Waits only to resolve a host name.
---@param host string|moonlet.net.Address a local address; "unix:/path", without a port; or a name (of its addresses an IPv4 one if there is one); "*": all of IPv4; "::": all of IPv6
---@param port? integer 0: one that the system chooses, see listener:address()
---@param opts? moonlet.net.listen.options
---@return moonlet.net.listener|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
---@overload fun(host: string|moonlet.net.Address, opts?: moonlet.net.listen.options): moonlet.net.listener|nil, string|nil, string|nil
function net.listen(host, port, opts) end

---@class moonlet.net.memory_pair.options
---@field chunk? integer bytes that a receive, or a transmit, takes at most
---@field latency? number seconds before bytes can be read
---@field reset_after? integer bytes after which both streams get "ECONNRESET"
---@field stall_after? integer bytes after which nothing more is taken, and not even the end arrives
---@field capacity? integer bytes under way before a writer waits
---@field a_to_b? table the same for the direction from the first stream to the second
---@field b_to_a? table the same for the other direction

---Two streams connected with each other through memory, over a network as bad as a test wishes: see
---docs/testing.md. If the clock of moonlet.test is virtual, it counts. Never waits.
---@param opts? moonlet.net.memory_pair.options for each direction:
---@return moonlet.net.stream
---@return moonlet.net.stream
function net.memory_pair(opts) end

---Two streams connected with each other, through a nameless Unix-domain socket. Never waits.
---@return moonlet.net.stream|nil # or nil, message, code
---@return moonlet.net.stream|string|nil
---@return string|nil # code
function net.pair() end

---@class moonlet.net.resolve.options
---@field type? string "A", "AAAA", "SRV", "TXT", "MX", "PTR", "CNAME" or "NS"
---@field family? string "inet" or "inet6"; without a type
---@field port? integer of the addresses
---@field timeout? number seconds
---@field resolver? moonlet.net.resolver

---Resolves a name. May wait.
---
---Without a type the result is its addresses, in the order in which to try them (RFC 6724), from the
---hosts file or else from a name server: those of both families, or of one if the other's do not come
---within the time limit. With a type, servers are asked for records of that type, and the result is a
---list of Address objects (A, AAAA), of strings (TXT, its pieces joined; PTR, CNAME, NS: hosts), of
---tables {priority=, host=, ttl=} by priority (MX), or of tables {priority=, weight=, host=, port=,
---ttl=} (SRV) by priority and, among equals, drawn anew each time, the heavy ones earlier more often
---(RFC 2782): try them in that order. A numeric address has its PTR records under in-addr.arpa or
---ip6.arpa.
---
---Codes: "ENOTFOUND": there is no such name, or it has no such record, the message says which; "EDNS":
---the servers failed, refused, could not be reached, or gave a broken answer; "ETIMEDOUT"; "EMFILE":
---no descriptor is free; "CLOSED": the resolver is closed.
---@param name string
---@param opts? moonlet.net.resolve.options
---@return table|nil # a list; or nil, message, code
---@return string|nil # message
---@return string|nil # code
function net.resolve(name, opts) end

---@class moonlet.net.resolver.options
---@field servers? string[] "host" or "host:port", numeric; without: the system's. With it names are asked as they are, without a search list
---@field timeout? number seconds until the second try; each further one waits twice as long; without: 2, or the value of /etc/resolv.conf if its servers are asked
---@field tries? integer without: 3, or the value of that file
---@field hosts? string|boolean path of a hosts file; false: none

---Makes a resolver of its own, for net.resolve and net.connect. The default resolver asks the servers
---of /etc/resolv.conf, with its search list and options, and follows changes of that file.
---@param opts moonlet.net.resolver.options
---@return moonlet.net.resolver|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function net.resolver(opts) end

---@class moonlet.net.tls.options
---@field ca? string trusted certificates: PEM text; without ca, ca_file and ca_path the system's roots
---@field ca_file? string the same, a file
---@field ca_path? string the same, a directory of hashed certificates
---@field cert? string one's own certificate with those that lead to its root: PEM text
---@field cert_file? string the same, a file
---@field key? string its key: PEM text
---@field key_file? string the same, a file
---@field verify? boolean|string true: the peer must show a certificate that is trusted, for a client the default; "optional": a server asks for one and verifies it if there is one; false: nothing is verified
---@field server_name? string|boolean the name that a client asks for and verifies instead of the host connected to; false: none, any trusted certificate will do. Where there is no host to connect to (Unix domain, pairs, accepted streams) a client that verifies needs one of both
---@field alpn? string[] protocols, the preferred first
---@field names? table `{["b.example"] = {cert=, key=}}`: certificates by the name that clients ask for, "*.b.example" for one label
---@field crl? string revoked certificates: PEM text
---@field crl_file? string the same, a file
---@field min_version? string "1.2" or "1.3"

---Makes a TLS context, for the option `tls` of connect and listen, and for starttls, as often as
---wanted. `{context = ctx, server_name = "a.example"}` there is the same context, with another server
---name for a client.
---@param opts? moonlet.net.tls.options
---@return moonlet.net.Context|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function net.tls(opts) end

---@class moonlet.net.udp.options
---@field host? string|moonlet.net.Address a local address, a name, "unix:/path", "unix:@name"; without: every address
---@field port? integer without: one that the system chooses
---@field family? string "inet"; "inet6", which reaches IPv4, too, unless the host is an IPv6 address other than "::"; "unix"
---@field exclusive? boolean in a worker (moonlet.worker): the socket is its own; otherwise the workers share one that has a port or a path: each sender's datagrams go to one worker
---@field max? integer bytes taken of a datagram, at most 65536

---Opens a datagram socket, UDP or in the Unix domain, bound to a local address. Waits only to resolve
---a host name.
---@param opts? moonlet.net.udp.options these, and the options of udp:set()
---@return moonlet.net.udp|nil # or nil, message, code
---@return string|nil # message
---@return string|nil # code
function net.udp(opts) end

return net
