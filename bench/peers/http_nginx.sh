#!/bin/sh
# nginx as one process, with an answer that it holds, and a file. Prints "listening PORT" and becomes nginx.
# Usage: http_nginx.sh PORT DIRECTORY [CERTIFICATE KEY]
#     (DIRECTORY: for its configuration, with the file `file` in it; with a certificate: over TLS)
# NGINX_WORKERS: so many workers in place of the one process
set -eu
port=$1 directory=$2 ssl='' certificate=''
processes="master_process off;"
if [ -n "${NGINX_WORKERS:-}" ]; then processes="worker_processes $NGINX_WORKERS;"; fi
if [ $# -gt 2 ]; then
    ssl=' ssl' certificate="ssl_certificate $3; ssl_certificate_key $4;"
fi
cat >"$directory/nginx.conf" <<END
daemon off;
$processes
worker_rlimit_nofile 20000;
error_log /dev/null;
pid $directory/nginx.pid;
events { worker_connections 10000; }
http {
    access_log off;
    sendfile on;
    tcp_nopush on;
    keepalive_requests 1000000000;
    client_body_temp_path $directory; proxy_temp_path $directory; fastcgi_temp_path $directory;
    uwsgi_temp_path $directory; scgi_temp_path $directory;
    open_file_cache max=10;
    server {
        listen 127.0.0.1:$port$ssl backlog=4096;
        $certificate
        location = / { default_type text/plain; return 200 hello; }
        location = /file { root $directory; }
    }
}
END
echo "listening $port"
exec nginx -e /dev/null -c "$directory/nginx.conf" -p "$directory"
