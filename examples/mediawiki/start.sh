#!/usr/bin/env bash
# Runs a real MediaWiki with SQLite, from Debian's packages, on 127.0.0.1, in the foreground.
#
#   apt-get install --no-install-recommends mediawiki micro-httpd php8.2-cgi php-cli php-sqlite3 php-mbstring php-xml php-intl
#   MW_PASSWORD=... MW_USERS="Alice:... Bob:..." examples/mediawiki/start.sh FOLDER PORT
#
# The packages micro-httpd and php8.2-cgi only keep apt from installing a web server; the script uses PHP's own. FOLDER
# holds all files of the wiki; a second start with the same FOLDER goes on with them. MW_PASSWORD is the password of the
# first account, Admin; MediaWiki wants at least ten characters. MW_SESSION_SECONDS says after how many seconds an idle
# session ends (3600).
set -euo pipefail
[ $# = 2 ] || { echo "usage: $0 FOLDER PORT" >&2; exit 2; }
: "${MW_PASSWORD:?set it}"
mkdir -p "$1"
folder=$(cd "$1" && pwd -P)
port=$2
src=/usr/share/mediawiki
www=$folder/www
[ -f $src/api.php ] || { echo "install the package mediawiki" >&2; exit 1; }
mkdir -p "$folder/tmp"
export TMPDIR=$folder/tmp MW_INSTALL_PATH=$www MW_FOLDER=$folder MW_PORT=$port MW_SESSION_SECONDS=${MW_SESSION_SECONDS:-3600}
ini=(-d sys_temp_dir="$TMPDIR" -d display_errors=0 -d log_errors=1 -d error_log="$folder/php.log" -d memory_limit=256M)

if [ ! -f "$folder/installed" ]; then
  rm -rf "$www" "$folder/data" "$folder/cache"
  mkdir -p "$www/images" "$www/extensions" "$folder/data" "$folder/cache"
  # The entry points look for other files in the folder in which they really are, whatever link leads to them. So
  # they are copied, and the rest is linked.
  for file in "$src"/*.php "$src"/composer.json; do [ -L "$file" ] || cp "$file" "$www/"; done
  for dir in includes languages maintenance mw-config resources skins vendor; do ln -s "$src/$dir" "$www/$dir"; done
  (umask 077 && printf '%s' "$MW_PASSWORD" >"$TMPDIR/password")
  php "${ini[@]}" "$src/maintenance/install.php" --confpath "$www" --dbtype sqlite --dbname wiki --dbpath "$folder/data" \
    --server "http://127.0.0.1:$port" --scriptpath "" --lang en --skins Vector --passfile "$TMPDIR/password" \
    "Test Wiki" Admin >"$folder/install.log" 2>&1 || { cat "$folder/install.log" >&2; exit 1; }
  rm -f "$TMPDIR/password"
  cat >>"$www/LocalSettings.php" <<'PHP'

$wgServer = $wgCanonicalServer = 'http://127.0.0.1:' . getenv( 'MW_PORT' );
$wgMainCacheType = CACHE_NONE;
$wgMessageCacheType = $wgParserCacheType = $wgSessionCacheType = CACHE_DB;
$wgObjectCacheSessionExpiry = (int)getenv( 'MW_SESSION_SECONDS' );
$wgCacheDirectory = getenv( 'MW_FOLDER' ) . '/cache';
$wgEnableEmail = $wgPingback = false;
$wgJobRunRate = 0;
$wgPasswordAttemptThrottle = $wgRateLimits = [];
# Only logged-in users may write, so that a write whose session has ended fails and is not done anonymously.
$wgGroupPermissions['*']['edit'] = false;
PHP
  for pair in ${MW_USERS:-}; do
    php "${ini[@]}" "$src/maintenance/createAndPromote.php" "${pair%%:*}" "${pair#*:}" >>"$folder/install.log" 2>&1
  done
  touch "$folder/installed"
fi

# The workers of `php -S` outlive their parent process, so they get a process group of their own and are stopped
# together.
export PHP_CLI_SERVER_WORKERS=4
set -m
php "${ini[@]}" -S "127.0.0.1:$port" -t "$www" </dev/null >>"$folder/access.log" 2>&1 &
server=$!
set +m
stop() { trap - TERM INT HUP EXIT; kill -TERM -- "-$server" 2>/dev/null || true; exit "${1:-0}"; }
trap 'stop 0' TERM INT HUP
trap 'stop $?' EXIT
( # Stops the server also when this script is killed, so that no process keeps the port.
  trap '' TERM INT HUP
  while kill -0 $$ 2>/dev/null && kill -0 "$server" 2>/dev/null; do sleep 1; done
  kill -TERM -- "-$server" 2>/dev/null
) >/dev/null 2>&1 </dev/null &
wait "$server"
