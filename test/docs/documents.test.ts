// Documents are part of the product: the files they point at and the commands they show must exist.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Command } from 'commander';
import { describe, expect, it } from 'vitest';
import { createProgram } from '../../src/cli/program.ts';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { parseData } from '../../src/formats/yaml/yaml.ts';
import { releaseProblems } from '../../tools/release.ts';
import { filesBelow } from '../support/files.ts';

const read = (file: string) => readFileSync(join(PACKAGE_ROOT, file), 'utf8');
const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'SECURITY.md',
  'CHANGELOG.md',
  '.github/pull_request_template.md',
  ...filesBelow('docs').filter((file) => file.endsWith('.md')),
];
const { scripts, version } = JSON.parse(read('package.json')) as { scripts: Record<string, string>; version: string };

describe.each(documents)('%s', (file) => {
  const text = read(file);

  it('points only at files and headings that exist', () => {
    const missing = [...text.matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target = '']) => target)
      .filter((target) => !/^(https?|mailto):/.test(target))
      .filter((target) => {
        const [path = '', anchor] = target.split('#');
        const absolute = path === '' ? file : join(dirname(file), path);
        if (!existsSync(join(PACKAGE_ROOT, absolute))) return true;
        return anchor !== undefined && !headings(read(absolute)).includes(anchor);
      });
    expect(missing).toEqual([]);
  });

  it('names only source files that exist', () => {
    const missing = [...text.matchAll(/`((?:src|test|tools|policies|policy-tests|examples)\/[\w./-]+)`/g)]
      .map(([, path = '']) => path)
      // These two are methods of MCP, not files.
      .filter((path) => path !== 'tools/list' && path !== 'tools/call')
      .filter((path) => !existsSync(join(PACKAGE_ROOT, path)));
    const short = [...text.matchAll(/`((?:[a-z-]+\/)+[\w.-]+\.ts)`/g)]
      .map(([, path = '']) => path)
      .filter((path) => !existsSync(join(PACKAGE_ROOT, path)) && !existsSync(join(PACKAGE_ROOT, 'src', path)));
    expect([...missing, ...short]).toEqual([]);
  });

  it('names only npm scripts that exist', () => {
    const unknown = [...text.matchAll(/npm run (?:--silent |-s )?([\w:-]+)/g)]
      .map(([, name = '']) => name)
      .filter((name) => scripts[name] === undefined);
    expect(unknown).toEqual([]);
  });

  it('shows only commands and options that the command line has', () => {
    const wrong = commandLines(text).flatMap((line) => problemsOf(line));
    expect(wrong).toEqual([]);
  });
});

it('no document tells people to fetch the npm package before it is published', () => {
  const texts = [...documents, ...filesBelow('src'), ...filesBelow('examples'), ...filesBelow('policies')];
  const fetching = texts.filter((file) => /npx (?!--no-install )(?:-\S+ )*sallyport\b/.test(read(file)));
  expect(fetching).toEqual([]);
});

it('the README is read in five minutes: status, two commands and a picture on its first screen, under 200 lines', () => {
  const lines = read('README.md').split('\n');
  expect(lines.length).toBeLessThan(200);
  const screen = lines.slice(0, 40).join('\n');
  for (const part of ['Status:', 'npm ci && npm start', 'npm cit', '```mermaid']) expect(screen).toContain(part);
});

it('docs/threats.md names only tests that exist', () => {
  const cells = read('docs/threats.md')
    .split('\n')
    .filter((line) => /^\| .* \|$/.test(line) && !/^\|(---| threat )/.test(line))
    .map((line) => line.split(' | ').at(-1) ?? '');
  const tests = cells.flatMap((cell) => [...cell.matchAll(/`([\w/-]+)`/g)].map(([, name]) => `test/${name}`));
  expect(tests.length).toBeGreaterThan(15);
  expect(
    tests.filter((test) => !['.test.ts', '.ts'].some((end) => existsSync(join(PACKAGE_ROOT, test + end)))),
  ).toEqual([]);
});

describe('.github', () => {
  it('runs what .ci/run runs, on Node 20 and 24, with actions pinned by their commit', () => {
    const ci = read('.github/workflows/ci.yml');
    expect(ci).toContain('bash .ci/run');
    expect([...ci.matchAll(/node-version: (\d+)/g)].map(([, node]) => node)).toEqual(['20', '24']);
    for (const file of ['ci.yml', 'release.yml']) {
      const text = read(`.github/workflows/${file}`);
      expect(parseData(text)).toMatchObject({ permissions: { contents: 'read' } });
      for (const [, action] of text.matchAll(/uses: (\S+)/g)) expect(action).toMatch(/@[0-9a-f]{40}$/);
    }
    expect(parseData(read('.github/dependabot.yml'))).toMatchObject({ version: 2 });
  });

  it('a release needs the same version in tag, package.json and CHANGELOG, and the repository of package.json', () => {
    const good = { GITHUB_REF_NAME: `v${version}`, GITHUB_REPOSITORY: 'sallyport-mcp/sallyport' };
    // Not released yet: the heading has no date.
    expect(releaseProblems(good)).toEqual([expect.stringContaining('CHANGELOG.md has no dated heading')]);
    expect(releaseProblems({ GITHUB_REF_NAME: 'v9.9.9', GITHUB_REPOSITORY: 'somebody/else' })).toHaveLength(3);
  });
});

/** The anchors of a document, as forges make them. */
function headings(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}

/** Each "sallyport …" of a code block or a code span. */
function commandLines(text: string): string[] {
  const blocks = [...text.matchAll(/```\w*\n([\s\S]*?)```/g)].flatMap(([, block = '']) => block.split('\n'));
  const spans = [...text.replace(/```[\s\S]*?```/g, '').matchAll(/`([^`]+)`/g)].map(([, span = '']) => span);
  return [...blocks, ...spans].flatMap((line) => {
    const command = /^(?:\$ )?(?:npx --no-install )?sallyport ([a-z].*)$/.exec(line.trim())?.[1];
    return command === undefined ? [] : [command.replace(/\s+#.*$/, '')];
  });
}

function problemsOf(line: string): string[] {
  let command: Command = createProgram();
  const words = line.split(/\s+/);
  for (const word of words) {
    // "check\|build\|test" in a table.
    const names = word.split(/\\?\|/);
    const found = names.map((name) => command.commands.find((each) => each.name() === name));
    if (!found[0]) break;
    if (found.some((each) => !each)) return [`sallyport ${line}: no command ${word}`];
    command = found[0];
  }
  if (command.parent === null) return [`sallyport ${line}: no such command`];
  const known = new Set(command.options.flatMap(({ long, short }) => [long, short]));
  return [...line.matchAll(/(?<![\w-])(--?[a-z][\w-]*)/g)]
    .map(([, option]) => option)
    .filter((option) => !known.has(option) && option !== '--help')
    .map((option) => `sallyport ${line}: no option ${option}`);
}
