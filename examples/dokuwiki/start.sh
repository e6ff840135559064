#!/usr/bin/env bash
# Runs a real DokuWiki with its flat files, from Debian's packages, on 127.0.0.1, in the foreground.
#
#   echo "dokuwiki dokuwiki/system/configure-webserver multiselect " | debconf-set-selections
#   apt-get install --no-install-recommends dokuwiki micro-httpd php8.2-cgi php-cli
#   DW_USERS="anna:... bert:..." start.sh FOLDER PORT
#
# The packages micro-httpd and php8.2-cgi only keep apt from installing a web server; the script uses PHP's own. FOLDER
# holds all files of the wiki; a second start with the same FOLDER goes on with them. The first user is the
# administrator. DW_TRUST_SECONDS says for how long the wiki takes a login on trust (900): after that, the next answer
# checks the password in the cookie once more and renews the cookie. With -1 every answer does.
set -euo pipefail
umask 077
[ $# = 2 ] || { echo "usage: $0 FOLDER PORT" >&2; exit 2; }
: "${DW_USERS:?set it}"
src=/usr/share/dokuwiki
[ -f $src/doku.php ] || { echo "install the package dokuwiki" >&2; exit 1; }
mkdir -p "$1"
folder=$(cd "$1" && pwd -P)
port=$2
mkdir -p "$folder"/{conf,sessions,tmp} "$folder"/data/{attic,cache,index,locks,log,media,media_attic,media_meta,meta,pages,tmp}
export DW_FOLDER=$folder

# Debian's wiki has its configuration in /etc/dokuwiki, unless somebody has defined another folder before.
cat >"$folder/prepend.php" <<'PHP'
<?php
define('DOKU_CONF', getenv('DW_FOLDER') . '/conf/');
define('DOKU_FARM', false);
PHP
cat >"$folder/conf/local.php" <<PHP
<?php
\$conf['title'] = 'Test Wiki';
\$conf['savedir'] = '$folder/data';
\$conf['useacl'] = 1;
\$conf['superuser'] = '@admin';
\$conf['disableactions'] = 'register,resendpwd,profile,profile_delete';
\$conf['auth_security_timeout'] = ${DW_TRUST_SECONDS:-900};
\$conf['updatecheck'] = 0;
\$conf['remote'] = 1;
\$conf['remoteuser'] = '@user';
PHP
# Who is not logged in may do nothing; users may read, edit, create, upload and delete.
printf '# acl.auth.php\n# <?php exit()?>\n*\t@ALL\t0\n*\t@user\t16\n' >"$folder/conf/acl.auth.php"
if [ ! -f "$folder/conf/users.auth.php" ]; then
  printf '# users.auth.php\n# <?php exit()?>\n' >"$folder/users.new"
  groups=admin,user
  for pair in $DW_USERS; do
    hash=$(DW_PASSWORD=${pair#*:} php -r 'echo password_hash(getenv("DW_PASSWORD"), PASSWORD_BCRYPT, ["cost" => 8]);')
    echo "${pair%%:*}:$hash:${pair%%:*}:${pair%%:*}@example.org:$groups" >>"$folder/users.new"
    groups=user
  done
  mv "$folder/users.new" "$folder/conf/users.auth.php"
fi
unset DW_USERS

ini=(-d auto_prepend_file="$folder/prepend.php" -d session.save_path="$folder/sessions" -d sys_temp_dir="$folder/tmp"
  -d display_errors=0 -d log_errors=1 -d error_log="$folder/php.log")
# The workers of `php -S` outlive their parent process, so they get a process group of their own and are stopped
# together.
export PHP_CLI_SERVER_WORKERS=4
set -m
php "${ini[@]}" -S "127.0.0.1:$port" -t "$src" </dev/null >>"$folder/access.log" 2>&1 &
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
