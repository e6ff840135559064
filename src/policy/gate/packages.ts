// Where a rule may stand. OPA drops without a word what the hook does not find: a package in the wrong place, or a set
// that is none.
import { isSet, lineOf, type Module, nameOf, reached } from '../rego/modules.ts';
import type { Location } from '../rego/terms.ts';
import { nearest, oneOf, type Report } from './finding.ts';

/** The sets by which a package of the site takes part. */
export const HOOKS = ['findings', 'allow', 'masks', 'limits', 'visible'] as const;

/** Checks the packages of all modules, and the hooks of those of the site. */
export function checkPackages(modules: readonly Module[], report: Report): void {
  for (const module of modules) {
    const at: Location = { file: module.file, row: module.line };
    if (module.file.startsWith('site/')) checkSite(module, modules, at, report);
    else if (module.package !== 'sallyport' && !module.package.startsWith('sallyport.'))
      report.error(
        'site',
        at,
        `is package "${module.package}" among the shipped rules, where nothing asks it; put rules of the site into site/ as "package site.<name>"`,
      );
  }
}

function checkSite(module: Module, modules: readonly Module[], at: Location, report: Report): void {
  if (!/^site\.[a-z_]\w*$/i.test(module.package)) {
    report.error(
      'site',
      at,
      `is "package ${module.package}", which nothing asks; write "package site.<name>", with one name and no further level`,
    );
    return;
  }
  for (const rule of module.rules) {
    const name = nameOf(rule);
    const where = { file: module.file, row: lineOf(rule) };
    if ((HOOKS as readonly string[]).includes(name)) {
      if (!isSet(rule) || rule.default)
        report.error('site', where, `"${name}" must be a set: write "${name} contains … if { … }"`);
    } else if (isSet(rule) && !mentioned(module, name, modules)) {
      const meant = nearest(name, HOOKS);
      report.error(
        'site',
        where,
        `nothing asks "${name}"${meant ? `; did you mean "${meant}"?` : ''} (a package of the site takes part by ${oneOf(HOOKS)})`,
      );
    }
  }
  const own = modules.filter((other) => other.package === module.package);
  const takesPart = own.some(({ rules }) => rules.some((rule) => (HOOKS as readonly string[]).includes(nameOf(rule))));
  if (!takesPart && !asked(module, modules))
    report.error(
      'site',
      at,
      `has none of the sets ${oneOf(HOOKS)} and no other package asks its rules, so it takes no part in any decision`,
    );
}

/** Whether a rule of another package names one of this package. */
const asked = (module: Module, modules: readonly Module[]): boolean =>
  modules.some(
    (other) =>
      other.package !== module.package &&
      reached(modules, other, other.rules).some((found) => found.module.package === module.package),
  );

/** Whether another rule of the site or the package names it. */
const mentioned = (module: Module, name: string, modules: readonly Module[]): boolean =>
  modules.some((other) =>
    other.rules.some(
      (rule) =>
        !(nameOf(rule) === name && other.package === module.package) &&
        reached(modules, other, [rule.head, rule.body, rule.else]).some(
          ({ module: where, rule: found }) => where.package === module.package && nameOf(found) === name,
        ),
    ),
  );
