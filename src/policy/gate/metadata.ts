// METADATA: every reason that a rule gives is described, and every described reason is given. An auditor would else read
// a code that nothing explains, or look for a control that is not there.
import { ALERTS } from '../../decision/alerts/codes.ts';
import { REFUSALS } from '../../decision/refusal-codes.ts';
import { annotationOf, fullPath, lineOf, type Module, nameOf, reached } from '../rego/modules.ts';
import { type Annotation, eachTerm, type Location, pathOf, type Rule, scalarOf } from '../rego/terms.ts';
import { givenBy, isLiteral, literalsOf } from '../rego/values.ts';
import { nearest, type Report } from './finding.ts';

/** What METADATA may say under custom. */
const KNOWN = ['reason', 'controls', 'own_place'];
/** Rules of these names give reasons. */
const GIVING = new Set(['findings', 'allow', 'no_rule', 'faults']);

export function checkMetadata(modules: readonly Module[], report: Report): void {
  const shipped = new Set<string>([...Object.keys(REFUSALS), ...Object.keys(ALERTS)]);
  for (const module of modules)
    if (!module.file.startsWith('site/'))
      for (const rule of module.rules) for (const code of codesOf(module, rule)) shipped.add(code);
  for (const module of modules)
    for (const rule of module.rules) {
      const at: Location = { file: module.file, row: lineOf(rule) };
      checkReason(module, rule, annotationOf(rule), at, report);
      if (module.file.startsWith('site/'))
        for (const code of codesOf(module, rule))
          if (shipped.has(code))
            report.error(
              'reason',
              at,
              `reason "${code}" belongs to the shipped rules or to the connector; give it a code of its own`,
            );
      checkOwnPlace(modules, module, rule, report);
    }
}

/** The codes that the rule writes out. */
function codesOf(module: Module, rule: Rule): string[] {
  const literals = givenBy(module, rule).flatMap(({ code }) => literalsOf(module, rule, code));
  return [...new Set(literals.map((literal) => String(scalarOf(literal))))];
}

function checkReason(
  module: Module,
  rule: Rule,
  annotation: Annotation | undefined,
  at: Location,
  report: Report,
): void {
  const name = nameOf(rule);
  const described = annotation?.custom?.reason;
  const giving =
    GIVING.has(name) &&
    (module.file.startsWith('site/') || module.package !== 'sallyport.hook') &&
    !aggregates(module, name);
  const codes = giving || described !== undefined ? codesOf(module, rule) : [];
  if (giving && codes.length === 0)
    report.error(
      'reason',
      at,
      `the reason code of this rule cannot be read: write it out, as in "code": "${module.package.split('.').at(-1)}.what_happened"`,
    );
  if (giving)
    for (const { code } of givenBy(module, rule))
      if (code && !isLiteral(module, rule, code))
        report.error(
          'reason',
          at,
          'part of the reason code is computed: write each code out, so that METADATA and log can name it',
        );
  for (const code of codes)
    if (code !== described && (giving || described !== undefined))
      report.error(
        'metadata',
        at,
        `reason "${code}" has no METADATA with custom.reason${described === undefined ? '' : ` (it says "${described}")`}`,
      );
  for (const key of Object.keys(annotation?.custom ?? {}))
    if (!KNOWN.includes(key)) {
      const meant = nearest(key, KNOWN);
      report.error('metadata', at, `METADATA has no custom.${key}${meant ? `; did you mean "${meant}"?` : ''}`);
    }
  const ownPlace = annotation?.custom?.own_place;
  if (ownPlace !== undefined && ownPlace !== true)
    report.error('metadata', at, 'custom.own_place is true, without quotes, or left out');
  if (described === undefined) return;
  if (codes.length > 0 && !codes.includes(String(described)))
    report.error('metadata', at, `METADATA describes reason "${described}", which no rule gives`);
  if (codes.length === 0) report.error('metadata', at, `METADATA describes reason "${described}", which no rule gives`);
  for (const key of ['title', 'description'] as const)
    if (!annotation?.[key]?.trim()) report.error('metadata', at, `METADATA has a reason but no ${key}`);
  const controls = annotation?.custom?.controls;
  if (
    !Array.isArray(controls) ||
    controls.length === 0 ||
    !controls.every((c) => typeof c === 'string' && c.trim() !== '')
  )
    report.error(
      'metadata',
      at,
      'METADATA has a reason but no controls: name those that it serves, as in controls: [C02, ISO27001-A.8.15]',
    );
  if (Array.isArray(controls) && controls.some((c) => typeof c === 'string' && c.length > 64))
    report.error('metadata', at, 'the id of a control has more than 64 characters');
}

/** The page that collects what the packages found gives no reason of its own. */
const aggregates = (module: Module, name: string): boolean => module.package === 'sallyport' && name !== 'no_rule';

/**
 * Checks that what says `own_place: true` looks at the place of the call alone. The place of such a denial counts as not
 * in use, so a rule that looked at other networks would let the thief it has found go on.
 */
function checkOwnPlace(modules: readonly Module[], module: Module, rule: Rule, report: Report): void {
  if (annotationOf(rule)?.custom?.own_place !== true) return;
  for (const found of [{ module, rule }, ...reached(modules, module, rule)])
    eachTerm([found.rule.head, found.rule.body, found.rule.else], (term) => {
      if (term.type !== 'ref') return;
      const path = fullPath(found.module, pathOf(term) ?? []);
      const reads =
        path[0] === 'input' &&
        (path[1] === 'usage' ||
          path.length === 1 ||
          path[1] === null ||
          (path[1] === 'session' && path[2] === 'bound'));
      if (reads)
        report.error(
          'own-place',
          { file: found.module.file, row: term.location?.row ?? lineOf(found.rule) },
          'a rule that says own_place may not look at usage or at what the session is bound to, also not through another rule',
        );
    });
}
