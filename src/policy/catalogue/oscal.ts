// The catalogue as an OSCAL component definition (NIST OSCAL 1.1.3): the policy is a component that implements controls, and each
// control says by which codes, which settings and which tests.
import { createHash } from 'node:crypto';
import { VERSION } from '../../core/paths.ts';
import type { CatalogueEntry } from './catalogue.ts';

/** Names of properties are looked up in a name space of their own. */
const NS = 'https://github.com/sallyport-mcp/sallyport/ns/oscal';

/** `at`: when it was made (RFC 3339). The same policy and time give the same bytes. */
export function oscal(entries: readonly CatalogueEntry[], revision: string, at: string): object {
  const uuid = uuids(revision);
  const controls = [...new Set(entries.flatMap((each) => each.controls))].sort();
  const requirements = controls.map((control) => {
    const serving = entries.filter((each) => each.controls.includes(control));
    return {
      uuid: uuid(`requirement ${control}`),
      'control-id': tokenOf(control),
      description: `Served by ${serving.map(({ code }) => code).join(', ')}.`,
      props: [{ name: 'control-name', ns: NS, value: control }],
      statements: serving.map((each) => ({
        'statement-id': tokenOf(`${control}_${each.code}`),
        uuid: uuid(`statement ${control} ${each.code}`),
        description: each.descriptions.join(' ') || each.titles.join('; '),
        props: [
          { name: 'reason-code', ns: NS, value: each.code },
          ...each.settings.map((value) => ({ name: 'setting', ns: NS, value })),
          ...each.rules.map((value) => ({ name: 'rule', ns: NS, value })),
          { name: 'tests', ns: NS, value: String(each.tests.length) },
        ],
      })),
    };
  });
  return {
    'component-definition': {
      uuid: uuid('definition'),
      metadata: {
        title: 'Sallyport decision policy',
        'last-modified': at,
        version: revision,
        'oscal-version': '1.1.3',
      },
      components: [
        {
          uuid: uuid('component'),
          type: 'policy',
          title: 'Sallyport decision policy',
          description: `The Rego policy by which Sallyport ${VERSION} decides every tool call, revision ${revision}.`,
          props: [{ name: 'policy-revision', ns: NS, value: revision }],
          ...(requirements.length > 0 && {
            'control-implementations': [
              {
                uuid: uuid('implementation'),
                source: NS,
                description: 'The controls that the METADATA of the rules names.',
                'implemented-requirements': requirements,
              },
            ],
          }),
        },
      ],
    },
  };
}

/** A token begins with a letter or "_" and has no other signs than these. */
const tokenOf = (text: string): string => text.replace(/[^\w.-]/g, '_').replace(/^(?=[^A-Za-z_])/, '_');

/** From the revision and a name: another revision is another definition. */
const uuids =
  (revision: string) =>
  (name: string): string => {
    const hex = createHash('sha256').update(`${NS} ${revision} ${name}`).digest('hex');
    const variant = ((Number.parseInt(hex.slice(16, 18), 16) & 0x3f) | 0x80).toString(16);
    // OSCAL takes versions 4 and 5 of RFC 9562; 5 is the one that is made from names.
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-5${hex.slice(13, 16)}-${variant}${hex.slice(18, 20)}-${hex.slice(20, 32)}`;
  };
