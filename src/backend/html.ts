// The only home of htmlparser2: values of form fields, which is how old applications hand out
// login and CSRF tokens.
import { Parser } from 'htmlparser2';

/** Value of each named <input>, the first of a name. A field without a value has the empty string. */
export function formFields(html: string): Map<string, string> {
  const fields = new Map<string, string>();
  const parser = new Parser({
    onopentag(tag, attributes) {
      if (tag === 'input' && attributes.name !== undefined && !fields.has(attributes.name))
        fields.set(attributes.name, attributes.value ?? '');
    },
  });
  parser.write(html);
  parser.end();
  return fields;
}
