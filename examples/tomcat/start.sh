#!/usr/bin/env bash
# Runs a real Apache Tomcat 10 with its example applications, from Debian's packages, on 127.0.0.1, in the foreground.
#
#   apt-get install tomcat10 tomcat10-examples
#   TOMCAT_USER=anna TOMCAT_PASSWORD=... examples/tomcat/start.sh FOLDER PORT
#
# FOLDER becomes the CATALINA_BASE of this Tomcat, and nothing outside it is written. Sessions end after one idle
# minute, the shortest time that Tomcat can be set to; SESSION_MINUTES changes it. With OPS_PASSWORD set, Tomcat's own
# manager runs under /ops for the user "ops", who can end all sessions at once.
set -euo pipefail
umask 077
folder=${1:?usage: start.sh FOLDER PORT}
port=${2:?usage: start.sh FOLDER PORT}
: "${TOMCAT_USER:?set it}" "${TOMCAT_PASSWORD:?set it}"
home=/usr/share/tomcat10
examples=/usr/share/tomcat10-examples/examples
[ -f "$home/etc/web.xml" ] && [ -d "$examples" ] || { echo "install the packages tomcat10 and tomcat10-examples" >&2; exit 1; }

mkdir -p "$folder"/{conf/Catalina/localhost,logs,temp,work,webapps}
folder=$(cd "$folder" && pwd)
xml() { printf '%s' "$1" | sed 's/&/\&amp;/g; s/</\&lt;/g; s/"/\&quot;/g'; }

cp "$home"/etc/{catalina.properties,context.xml} "$folder/conf/"
sed "s|<session-timeout>[0-9]*<|<session-timeout>${SESSION_MINUTES:-1}<|" "$home/etc/web.xml" >"$folder/conf/web.xml"
cat >"$folder/conf/server.xml" <<END
<?xml version="1.0" encoding="UTF-8"?>
<Server port="-1">
  <GlobalNamingResources>
    <Resource name="Users" auth="Container" type="org.apache.catalina.UserDatabase" readonly="true"
              factory="org.apache.catalina.users.MemoryUserDatabaseFactory" pathname="conf/tomcat-users.xml"/>
  </GlobalNamingResources>
  <Service name="Catalina">
    <Connector port="$port" address="127.0.0.1" protocol="HTTP/1.1" maxThreads="16" minSpareThreads="2"/>
    <Engine name="Catalina" defaultHost="localhost" backgroundProcessorDelay="1">
      <Realm className="org.apache.catalina.realm.UserDatabaseRealm" resourceName="Users"/>
      <Host name="localhost" appBase="webapps" unpackWARs="false" autoDeploy="false"/>
    </Engine>
  </Service>
</Server>
END
{
  echo '<tomcat-users xmlns="http://tomcat.apache.org/xml" version="1.0">'
  echo '  <role rolename="tomcat"/><role rolename="role1"/><role rolename="manager-script"/>'
  echo "  <user username=\"$(xml "$TOMCAT_USER")\" password=\"$(xml "$TOMCAT_PASSWORD")\" roles=\"tomcat,role1\"/>"
  [ -z "${OPS_PASSWORD:-}" ] || echo "  <user username=\"ops\" password=\"$(xml "$OPS_PASSWORD")\" roles=\"manager-script\"/>"
  echo '</tomcat-users>'
} >"$folder/conf/tomcat-users.xml"

# The examples, unchanged but for Tomcat's own CSRF filter in front of the one servlet that writes.
rm -rf "$folder/examples"
cp -rL "$examples" "$folder/examples"
chmod -R u+rwX "$folder/examples"
servlet=/servlets/servlet/SessionExample
sed -i "s|</web-app>|<filter><filter-name>CSRF</filter-name><filter-class>org.apache.catalina.filters.CsrfPreventionFilter</filter-class><init-param><param-name>entryPoints</param-name><param-value>$servlet</param-value></init-param></filter><filter-mapping><filter-name>CSRF</filter-name><url-pattern>$servlet</url-pattern></filter-mapping></web-app>|" "$folder/examples/WEB-INF/web.xml"
cat >"$folder/conf/Catalina/localhost/examples.xml" <<END
<Context docBase="$folder/examples"><Manager pathname="" processExpiresFrequency="1"/></Context>
END
if [ -n "${OPS_PASSWORD:-}" ]; then
  mkdir -p "$folder/ops/WEB-INF"
  echo "<Context docBase=\"$folder/ops\" privileged=\"true\"/>" >"$folder/conf/Catalina/localhost/ops.xml"
  cat >"$folder/ops/WEB-INF/web.xml" <<END
<web-app xmlns="https://jakarta.ee/xml/ns/jakartaee" version="6.0" metadata-complete="true">
  <servlet><servlet-name>Manager</servlet-name><servlet-class>org.apache.catalina.manager.ManagerServlet</servlet-class></servlet>
  <servlet-mapping><servlet-name>Manager</servlet-name><url-pattern>/*</url-pattern></servlet-mapping>
  <security-constraint>
    <web-resource-collection><web-resource-name>all</web-resource-name><url-pattern>/*</url-pattern></web-resource-collection>
    <auth-constraint><role-name>manager-script</role-name></auth-constraint>
  </security-constraint>
  <login-config><auth-method>BASIC</auth-method></login-config>
  <security-role><role-name>manager-script</role-name></security-role>
</web-app>
END
fi

if [ ! -x "${JAVA_HOME:-}/bin/java" ]; then
  JAVA_HOME=$(dirname "$(dirname "$(readlink -f "$(command -v java || echo /usr/lib/jvm/default-java/bin/java)")")")
fi
export JAVA_HOME CATALINA_HOME=$home CATALINA_BASE=$folder CATALINA_TMPDIR=$folder/temp
export CATALINA_OPTS="-Xmx128m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 -Dorg.apache.catalina.startup.EXIT_ON_INIT_FAILURE=true -Duser.language=en"
unset TOMCAT_PASSWORD OPS_PASSWORD JAVA_OPTS CATALINA_PID CLASSPATH
exec "$home/bin/catalina.sh" run
