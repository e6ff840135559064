// Mistakes of place and reach: packages, sets and files that nothing asks, rules that never fire.
import { changed, type Mistake, RULE } from './rule.ts';

export const PLACES: Record<string, Mistake> = {
  'a package two levels below site': {
    files: { ...changed('package site.night', 'package site.night.rules') },
    message: /write "package site\.<name>", with one name/,
  },
  'the bare package site': {
    files: changed('package site.night', 'package site'),
    message: /is "package site", which nothing asks/,
  },
  'a package beside site': {
    files: changed('package site.night', 'package sites.night'),
    message: /is "package sites\.night", which nothing asks/,
  },
  'a package among the shipped ones': {
    files: changed('package site.night', 'package sallyport.night'),
    message: /is "package sallyport\.night", which nothing asks/,
  },
  'findings that are an object': {
    files: changed('findings contains {', 'findings := {'),
    message: /"findings" must be a set: write "findings contains/,
  },
  'findings that are a table': {
    files: changed('findings contains {', 'findings["x"] := {'),
    message: /"findings" must be a set/,
  },
  'a misspelt hook': {
    files: changed('findings contains', 'finding contains'),
    message: /nothing asks "finding"; did you mean "findings"\?/,
  },
  'the hook of another product': {
    files: changed('findings contains', 'deny contains'),
    message: /nothing asks "deny"/,
  },
  'a condition that no case meets': {
    files: changed('input.time.hour < 6', 'input.time.hour == 4'),
    message: /no case or test makes this rule fire through an entrypoint \(reason "night\.closed"\)/,
  },
  'two conditions that exclude each other': {
    files: changed('input.time.hour < 6', 'input.time.hour < 6\n\tinput.tool.effect != "write"'),
    message: /no case or test makes this rule fire/,
  },
  'a rule without a case': {
    files: { 'site/tests/night.yaml': 'cases: []\n' },
    message: /no case or test makes this rule fire/,
  },
  'a branch that nothing takes': {
    files: {
      'site/night.rego':
        RULE.replace('input.time.hour < 6', 'early') +
        '\nearly if input.time.hour < 6\n\nearly if input.time.hour > 22\n',
    },
    message: /no case or test makes "early" hold here/,
  },
  'a package with nothing that is asked': {
    files: { 'site/other.rego': 'package site.other\n\nearly if input.time.hour < 6\n' },
    message: /has none of the sets "findings", "allow", "masks", "limits", "visible"/,
    file: 'site/other.rego',
  },
  'a shipped rule package that nothing asks': {
    files: {
      'sallyport/extra/extra.rego': RULE.replace('site.night', 'sallyport.extra').replaceAll(
        'night.closed',
        'extra.closed',
      ),
    },
    message: /no rule of this file fires in any case or test through an entrypoint: no rule that decides asks for it/,
    file: 'sallyport/extra/extra.rego',
  },
  'a rule of the site among the shipped ones': {
    files: { 'sallyport/night.rego': RULE },
    message: /among the shipped rules, where nothing asks it/,
    file: 'sallyport/night.rego',
  },
  'data among the rules': {
    files: { 'site/numbers.yaml': 'opens: 6\n' },
    message: /is data among the rules of the site/,
    file: 'site/numbers.yaml',
  },
  'data in JSON among the rules': {
    files: { 'site/night/data.json': '{}' },
    message: /is data among the rules of the site/,
    file: 'site/night/data.json',
  },
  'a test in a package that decides': {
    files: { 'site/tests/night_test.rego': 'package site.night_test\n\ntest_x if 1 == 1\n' },
    message: /a test may not be in package "site\.night_test", which decides; call it "night_test_test"/,
    file: 'night_test.rego',
  },
  'a hidden source': {
    files: { 'site/.day.rego': RULE.replaceAll('night', 'day') },
    message: /is a Rego source that nothing looks at/,
    file: 'site/.day.rego',
  },
  'a source in a folder with a misspelt name': {
    files: { 'sites/day.rego': RULE.replaceAll('night', 'day') },
    message: /is a Rego source that nothing looks at/,
    file: 'sites/day.rego',
  },
  'a source beside the folders': {
    files: { 'day.rego': RULE.replaceAll('night', 'day') },
    message: /is a Rego source that nothing looks at/,
    file: 'day.rego',
  },
  'a list that is larger than the memory of a policy': {
    files: changed('input.time.hour < 6', 'count(numbers.range(1, 500000)) > 1'),
    message: /the WebAssembly gives decision\.error/,
    file: '',
  },
  'a source that is not formatted': {
    files: { 'site/night.rego': RULE.replace('\tinput.time.hour < 6', '    input.time.hour<6') },
    message: /is not formatted; run: opa fmt --write/,
  },
  'a source that cannot be read': {
    files: { 'site/night.rego': `${RULE}\nfindings contains\n` },
    message: /rego_parse_error/,
  },
};
