// What may lie in the folder of the site's rules. OPA would merge data files into what the rules give, and drop what
// it cannot place, both in silence.
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { OperatorError } from '../../core/errors.ts';
import { type PolicyPaths, shown } from './paths.ts';
import { SITE_SCHEMA } from './site-settings.ts';

/** Data files in the folder of the site's rules, as they are shown. */
export function siteDataFiles({ site }: PolicyPaths): string[] {
  if (!existsSync(site)) return [];
  if (!statSync(site).isDirectory()) throw new OperatorError(`${shown(site)} is no folder`);
  return readdirSync(site, { recursive: true, encoding: 'utf8' })
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => /\.(json|ya?ml)$/.test(name) && !/^(compiled|tests)\//.test(name) && !/(^|\/)\./.test(name))
    .filter((name) => name !== SITE_SCHEMA)
    .map((name) => shown(join(site, name)));
}

/** What to do with one. */
export const SITE_DATA_MEND = `is data among the rules of the site, which OPA would merge into what they give; put settings under settings.site in data.yaml, with their schema in ${SITE_SCHEMA}`;

/** Rego sources near the policy that nothing looks at: beside the folders, in one with a misspelt name, hidden, in another case. */
export function strayFiles({ dir, site }: PolicyPaths): string[] {
  const looked = (name: string) => /^(sallyport|compiled|schemas|replaced-[^/]*|node_modules|\.git)\//.test(name);
  const inDir = existsSync(dir) ? readdirSync(dir, { recursive: true, encoding: 'utf8' }).slice(0, 20_000) : [];
  const strayInDir = inDir
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => /\.rego$/i.test(name) && !looked(name) && !/^site\//.test(name) && name.split('/').length <= 2)
    .map((name) => join(dir, name));
  const inSite = existsSync(site) ? readdirSync(site, { recursive: true, encoding: 'utf8' }) : [];
  const strayInSite = inSite
    .map((name) => name.replaceAll('\\', '/'))
    .filter((name) => /\.rego$/i.test(name) && !/(^|\/)\.\./.test(name))
    .filter((name) => !name.endsWith('.rego') || /(^|\/)\./.test(name) || /^compiled\//.test(name))
    .map((name) => join(site, name));
  return [...strayInDir, ...strayInSite].map(shown);
}

/** Throws an OperatorError that names every data file among the rules of the site. */
export function refuseSiteData(paths: PolicyPaths): void {
  const files = siteDataFiles(paths);
  if (files.length > 0) throw new OperatorError(files.map((file) => `${file} ${SITE_DATA_MEND}`).join('\n'));
}
