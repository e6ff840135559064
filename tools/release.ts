// Checks before a release is published that the tag, package.json and CHANGELOG.md name the same version, and that
// the repository is the one that package.json names, as npm's provenance demands. The release workflow runs it.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { PACKAGE_ROOT } from '../src/core/paths.ts';

interface Package {
  version: string;
  repository: { url: string };
}

/** Returns a sentence for each thing that does not agree; empty when everything agrees. */
export function releaseProblems(env: NodeJS.ProcessEnv, root = PACKAGE_ROOT): string[] {
  const { version, repository } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Package;
  const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8');
  const problems: string[] = [];
  if (env.GITHUB_REF_NAME !== `v${version}`)
    problems.push(`the tag is ${env.GITHUB_REF_NAME ?? 'missing'} and package.json has ${version}`);
  if (!repository.url.endsWith(`/${env.GITHUB_REPOSITORY}.git`))
    problems.push(`this is ${env.GITHUB_REPOSITORY ?? 'no repository'} and package.json names ${repository.url}`);
  if (!new RegExp(`^## ${version.replaceAll('.', '\\.')} – \\d{4}-\\d{2}-\\d{2}$`, 'm').test(changelog))
    problems.push(`CHANGELOG.md has no dated heading "## ${version} – YYYY-MM-DD"`);
  return problems;
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const problems = releaseProblems(process.env);
  for (const problem of problems) console.error(problem);
  process.exitCode = problems.length === 0 ? 0 : 1;
}
