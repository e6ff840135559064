// What rules give, as far as it is written out: grades, reasons and obligations. What is computed is looked at when it is
// decided (sallyport.shape) and on every test and case.
import { obligationSchema, reasonSchema } from '../../decision/schema.ts';
import { argumentsIn } from '../rego/arguments.ts';
import { lineOf, type Module, nameOf } from '../rego/modules.ts';
import { itemsOf, type Location, membersOf, type Rule, scalarOf, type Term } from '../rego/terms.ts';
import { givenBy, literalsOf, objectsOf, resolve } from '../rego/values.ts';
import { oneOf, type Report } from './finding.ts';

const GRADES = ['allow', 'rotate', 'deny'];
const OBLIGATIONS = new Map(
  obligationSchema.options.map((option) => [option.shape.type.value as string, option.shape]),
);

/** Checks every literal grade, reason and obligation. */
export function checkShapes(modules: readonly Module[], report: Report): void {
  for (const module of modules)
    for (const rule of module.rules) {
      const at = (term: Term | undefined): Location => ({
        file: module.file,
        row: term?.location?.row ?? lineOf(rule),
      });
      for (const { grade, code, params } of givenBy(module, rule)) {
        checkGrade(module, rule, grade, at, report);
        checkCode(module, rule, code, at, report);
        checkParams(params, at, report);
      }
      if (module.package !== 'sallyport.shape') checkObligations(module, rule, at, report);
      if (module.file.startsWith('site/')) checkOrders(modules, module, rule, at, report);
    }
}

type At = (term: Term | undefined) => Location;

const DENY_ONLY = ['revoke_session', 'require_scope'];

/** What only a denial can order, and what would put an argument on record or into a result by way of an obligation. */
function checkOrders(modules: readonly Module[], module: Module, rule: Rule, at: At, report: Report): void {
  const name = nameOf(rule);
  for (const { grade, obligations } of givenBy(module, rule)) {
    const grades = literalsOf(module, rule, grade).map(scalarOf);
    for (const item of (obligations && itemsOf(obligations)) ?? []) {
      const type = scalarOf(membersOf(item)?.get('type'));
      if (DENY_ONLY.includes(String(type)) && grades.length > 0 && !grades.includes('deny'))
        report.error(
          'obligation',
          at(item),
          `obligation "${type}" goes with grade "deny" only: a call that is let through with it is refused`,
        );
    }
    if (obligations && argumentsIn(modules, module, rule, obligations).size > 0)
      report.error(
        'obligation',
        at(obligations),
        'an obligation may not be made from an argument, which might not be on record',
      );
  }
  if ((name === 'masks' || name === 'limits') && argumentsIn(modules, module, rule, rule.head.key).size > 0)
    report.error(
      'obligation',
      at(rule.head.key),
      `what "${name}" orders may not be made from an argument, which might not be on record`,
    );
}

function checkGrade(module: Module, rule: Rule, grade: Term | undefined, at: At, report: Report): void {
  for (const literal of literalsOf(module, rule, grade)) {
    const value = scalarOf(literal);
    if (!GRADES.includes(value as string))
      report.error(
        'grade',
        at(literal),
        `grade ${JSON.stringify(value)} is none: write one of ${oneOf(GRADES)} (any other counts as "deny")`,
      );
  }
}

function checkCode(module: Module, rule: Rule, code: Term | undefined, at: At, report: Report): void {
  for (const literal of literalsOf(module, rule, code)) {
    const value = scalarOf(literal);
    if (!reasonSchema.shape.code.safeParse(value).success)
      report.error(
        'reason',
        at(literal),
        `${JSON.stringify(value)} is no reason code: write "area.what_happened" in small letters`,
      );
  }
}

function checkParams(params: Term | undefined, at: At, report: Report): void {
  if (!params) return;
  if (['array', 'set', 'string', 'number', 'boolean', 'null'].includes(params.type))
    report.error('reason', at(params), 'the params of a reason are an object');
  for (const [name, value] of membersOf(params) ?? [])
    if (
      ['array', 'set', 'object', 'arraycomprehension', 'setcomprehension', 'objectcomprehension'].includes(value.type)
    )
      report.error(
        'reason',
        at(value),
        `parameter "${name}" is a list or an object; a parameter is text, number, boolean or null`,
      );
}

/** An object with a "type" among obligations, or anywhere where the type is one of ours spelt wrong. */
function checkObligations(module: Module, rule: Rule, at: At, report: Report): void {
  const lists = givenBy(module, rule).flatMap(({ obligations }) => {
    const list = resolve(rule, obligations);
    return list ? [list] : [];
  });
  for (const list of lists) {
    const items = itemsOf(list);
    if (!items && ['object', 'string', 'number', 'boolean', 'null'].includes(list.type))
      report.error('obligation', at(list), 'obligations are a list of objects');
    for (const item of items ?? [])
      if (scalarOf(item) !== undefined)
        report.error('obligation', at(item), 'an obligation is an object with a "type"');
  }
  for (const object of objectsOf(module, rule)) {
    const members = membersOf(object);
    const type = members?.get('type');
    if (!members || !type || members.has('code')) continue;
    for (const literal of literalsOf(module, rule, type))
      checkObligation(String(scalarOf(literal)), members, object, at, report);
  }
}

function checkObligation(type: string, members: Map<string, Term>, object: Term, at: At, report: Report): void {
  const shape = OBLIGATIONS.get(type);
  if (!shape) {
    report.error('obligation', at(object), `obligation "${type}" is not known: there are ${oneOf(OBLIGATIONS.keys())}`);
    return;
  }
  for (const [name, field] of Object.entries(shape) as [
    string,
    { safeParse(value: unknown): { success: boolean } },
  ][]) {
    const term = members.get(name);
    // What the decision adds itself is not written by a rule.
    if (term === undefined && !field.safeParse(undefined).success)
      report.error('obligation', at(object), `obligation "${type}" lacks "${name}"`);
    const value = scalarOf(term);
    if (value !== undefined && !field.safeParse(value).success)
      report.error('obligation', at(term), `"${name}" of obligation "${type}" cannot be ${JSON.stringify(value)}`);
  }
  for (const name of members.keys())
    if (!(name in shape)) report.error('obligation', at(object), `obligation "${type}" has no "${name}"`);
}
