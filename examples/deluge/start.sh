#!/usr/bin/env bash
# Runs a real Deluge web interface, from Debian's packages, on 127.0.0.1, in the foreground. It runs without a Deluge
# daemon: its login, its settings and its list of daemons are its own.
#
#   apt-get install --no-install-recommends deluge-web
#   DELUGE_PASSWORD=... start.sh FOLDER PORT
#
# FOLDER holds all files; a second start with the same FOLDER goes on with them, and with the sessions: Deluge writes
# them to web.conf when it stops. SESSION_SECONDS says after how many idle seconds a session ends (3600); Deluge looks
# for ended sessions every five seconds.
set -euo pipefail
umask 077
[ $# = 2 ] || { echo "usage: $0 FOLDER PORT" >&2; exit 2; }
: "${DELUGE_PASSWORD:?set it}"
[ -x /usr/bin/deluge-web ] || { echo "install the package deluge-web" >&2; exit 1; }
mkdir -p "$1"
folder=$(cd "$1" && pwd -P)
if [ ! -f "$folder/web.conf" ]; then
  # There is one user, "admin"; only its password is asked for. Deluge keeps SHA-1 of salt and password.
  salt=$(head -c 20 /dev/urandom | sha1sum | cut -d' ' -f1)
  hash=$(printf '%s%s' "$salt" "$DELUGE_PASSWORD" | sha1sum | cut -d' ' -f1)
  cat >"$folder/web.conf" <<JSON
{ "file": 2, "format": 1 }
{ "pwd_salt": "$salt", "pwd_sha1": "$hash", "session_timeout": ${SESSION_SECONDS:-3600}, "first_login": false,
  "default_daemon": "", "interface": "127.0.0.1", "port": $2, "https": false, "base": "/" }
JSON
fi
unset DELUGE_PASSWORD
export HOME=$folder XDG_CONFIG_HOME=$folder/xdg PYTHONDONTWRITEBYTECODE=1 LC_ALL=C.UTF-8
exec /usr/bin/deluge-web --do-not-daemonize --config "$folder" --interface 127.0.0.1 --port "$2" --no-ssl --loglevel none
