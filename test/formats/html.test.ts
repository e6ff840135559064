// What a page holds is read, however it is written and however deep it nests.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formFields, hiddenFields, metaContent, pageTitle } from '../../src/formats/html/fields.ts';
import { textOf } from '../../src/formats/html/text.ts';

const text = (html: string, ...selectors: string[]) => textOf(selectors)(html);

describe('a form as text', () => {
  it.each([
    [
      'the lines of a textarea',
      '<p>Note:<textarea name=n>\nfirst\n  second &amp; third\n</textarea>',
      'Note:\n\nfirst\n  second & third',
    ],
    ['a field beside its label', '<label>Quantity <input name=q value="240"></label> pieces', 'Quantity 240 pieces'],
    ['fields in a table', '<tr><td><input value=1><td><input type=NUMBER value="2"></tr>', '1 | 2'],
    [
      'what is ticked',
      '<input type=checkbox checked> a <input type=checkbox> b <input type=radio checked> c',
      '[x] a [ ] b [x] c',
    ],
    [
      'what is chosen',
      '<select><option>red<option selected>green<optgroup><option>blue</optgroup></select>',
      '[ ] red\n[x] green\n[ ] blue',
    ],
    ['suggestions, which nobody has chosen', '<datalist><option>red</option></datalist>', 'red'],
    [
      'no password, token or label of a button',
      '<input type=password value=pw1><input type=hidden value=t1><input type=submit value=Go><input type=file value=f>x',
      'x',
    ],
    ['an empty field', 'a<input>b', 'a b'],
  ])('%s', (_name, html, expected) => {
    expect(text(`<body>${html}</body>`)).toBe(expected);
  });

  it('a selector takes the value of one field', () => {
    expect(text('<form><input id=a value=1><textarea id=b>x\ny</textarea></form>', '#b')).toBe('x\ny');
    expect(text('<form><input id=a value=1><textarea id=b>x</textarea></form>', '#a')).toBe('1');
  });
});

describe('R-93: pages that nest too deeply', () => {
  const deep = (n: number, name = 'div') => `<${name}>`.repeat(n);

  it.each([
    ['never closed', `${deep(20_000)}<input name=a value=1><p>found`],
    ['closed in order', `${deep(20_000)}<input name=a value=1><p>found${'</div>'.repeat(20_000)}`],
    ['with end tags of others', `${'<div></span></b>'.repeat(20_000)}<input name=a value=1>found`],
    ['with attributes that look like tags', `${'<div title="</div><b>">'.repeat(20_000)}<input name=a value=1>found`],
    ['in capitals', `${'<DIV>'.repeat(9_000)}${'<Section>'.repeat(9_000)}<INPUT NAME=a VALUE=1>found`],
    ['of drawings', `<svg>${deep(20_000, 'g')}</svg><input name=a value=1>found`],
  ])('%s', (_name, html) => {
    expect(formFields(html).get('a')).toBe('1');
    expect(text(html)).toContain('found');
    expect(pageTitle(`<title>T</title>${html}`)).toBe('T');
    expect(metaContent(`<meta name=m content=c>${html}`, 'm')).toBe('c');
    expect(hiddenFields(`<input type=hidden name=h value=v>${html}`)).toEqual({ h: 'v' });
  });

  it('what is not seen stays unseen, and what is no tag becomes none', () => {
    const unseen =
      "<script>var k='secret1'; s='<input name=b>';</script><style>.secret2{}</style><template>secret3</template>";
    const page = `${deep(6_000)}${unseen}<noscript>secret5</noscript><textarea><input name=c>\n</textarea>found`;
    expect(text(page)).not.toMatch(/secret/);
    expect(text(page)).toContain('<input name=c>');
    expect(text(page)).toContain('found');
    expect([...formFields(page).keys()]).toEqual([]);
    for (const name of ['script', 'textarea', 'title', 'svg', 'select'])
      for (const end of ['', `</${name}>`]) {
        const html = `${deep(600)}<${name}>${deep(600)}${end}`;
        expect(typeof text(html)).toBe('string');
        expect(formFields(html).size).toBe(0);
      }
  });

  it('any page made of tags is read, and none takes long', () => {
    const tag = fc.constantFrom(
      '<script>',
      '</script>',
      '<textarea>',
      '</textarea>',
      '<template>',
      '<div>',
      '</div>',
      '<p>',
      '</p>',
      '<b>',
      '</b>',
      '<svg>',
      '<g/>',
      '<br>',
      '<!-- <i> -->',
      '<a href="<u>">',
      '<li>',
      '<table>',
      '<td>',
      'x',
      '<',
      '>',
    );
    fc.assert(
      fc.property(fc.array(tag, { maxLength: 12, minLength: 1 }), (tags) => {
        const html = `${tags.join('').repeat(2_000)}</svg></title></textarea><p>found`;
        const got = text(html);
        if (!/[<"]$/.test(tags.join('')) || tags.every((each) => !each.includes('"')))
          expect(typeof got).toBe('string');
        formFields(html);
      }),
      { numRuns: 40 },
    );
  });
});
