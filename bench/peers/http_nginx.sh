#!/bin/sh
# nginx as one process, or with so many workers, with an answer that it holds, and a file. Prints "listening PORT" and
# becomes nginx.
# Usage: http_nginx.sh PORT DIRECTORY [WORKERS]   (DIRECTORY: for its configuration, with the file `file` in it)
set -eu
port=$1 directory=$2
processes="master_process off;"
if [ $# -gt 2 ]; then processes="worker_processes $3;"; fi
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
        listen 127.0.0.1:$port backlog=4096;
        location = / { default_type text/plain; return 200 hello; }
        location = /file { root $directory; }
    }
}
END
echo "listening $port"
exec nginx -e /dev/null -c "$directory/nginx.conf" -p "$directory"
