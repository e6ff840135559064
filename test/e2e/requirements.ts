// The real systems, from Debian's packages. Under CI=true a missing one fails the run; elsewhere its tests
// are left out, and the reporter says so at the end.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { TestProject } from 'vitest/node';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { onPath } from '../support/on-path.ts';

declare module 'vitest' {
  export interface ProvidedContext {
    tomcat: boolean;
    mediawiki: boolean;
    deluge: boolean;
    dokuwiki: boolean;
  }
}

/** Where `.ci/run` installs it. */
export const TRESTLE = join(PACKAGE_ROOT, 'tools', '.cache', 'trestle', 'bin', 'python');
const TRESTLE_HOW =
  'run: python3 -m venv tools/.cache/trestle && tools/.cache/trestle/bin/pip install compliance-trestle==5.2.0';

export default function setup({ provide }: TestProject): void {
  const tomcat = ['/usr/share/tomcat10/etc/web.xml', '/usr/share/tomcat10-examples/examples'].every(existsSync);
  const mediawiki = ['/usr/share/mediawiki/api.php', '/usr/bin/php'].every(existsSync);
  provide('tomcat', tomcat);
  provide('mediawiki', mediawiki);
  const deluge = existsSync('/usr/bin/deluge-web');
  const dokuwiki = ['/usr/share/dokuwiki/doku.php', '/usr/bin/php'].every(existsSync);
  provide('deluge', deluge);
  provide('dokuwiki', dokuwiki);
  const missing = [
    ...(tomcat ? [] : ['Apache Tomcat: install the packages tomcat10 and tomcat10-examples']),
    ...(onPath('chromium-headless-shell') || onPath('chromium')
      ? []
      : ['Chromium: install the package chromium-headless-shell']),
    ...(existsSync(TRESTLE) ? [] : [`compliance-trestle: ${TRESTLE_HOW}`]),
    ...['prometheus', 'haproxy', 'nginx', 'redis-server'].flatMap((name) =>
      onPath(name) ? [] : [`${name}: install the package of that name`],
    ),
    ...(deluge ? [] : ['Deluge: install the package deluge-web']),
    ...(dokuwiki ? [] : ['DokuWiki: install the packages named in examples/dokuwiki/start.sh']),
    ...(mediawiki ? [] : ['MediaWiki: install the packages named in examples/mediawiki/start.sh']),
  ];
  if (missing.length > 0 && process.env.CI === 'true')
    throw new Error(`CI must run every test; missing: ${missing.join('; ')}`);
  process.env.SALLYPORT_TESTS_MISSING = missing.join('\n');
}
