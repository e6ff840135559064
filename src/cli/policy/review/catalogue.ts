// `sallyport policy catalogue`: every reason code with what an auditor asks about it.
import { writeFileSync } from 'node:fs';
import { messageOf, OperatorError } from '../../../core/errors.ts';
import { catalogueOf } from '../../../policy/catalogue/catalogue.ts';
import { firingOf } from '../../../policy/catalogue/firing.ts';
import { catalogueCsv, catalogueMarkdown } from '../../../policy/catalogue/formats.ts';
import { oscal } from '../../../policy/catalogue/oscal.ts';
import { findOpa, noCompilerError } from '../../../policy/opa.ts';
import { partsOf, testFolders } from '../../../policy/run/test-folders.ts';
import { loadVersion } from '../../../policy/versions/load.ts';
import { withVersion } from '../../../policy/versions/version.ts';
import { progress } from '../../output.ts';
import { homeOf, type PolicyOptions } from '../place.ts';

export interface CatalogueOptions extends PolicyOptions {
  tests?: string;
  format?: 'markdown' | 'json' | 'csv' | 'oscal';
  json?: boolean;
  output?: string;
}

/** Prints it, or writes it to a file. Rejects with an OperatorError where there is no OPA to read the rules. */
export async function policyCatalogue(options: CatalogueOptions): Promise<void> {
  const opa = await findOpa({ progress });
  if (!opa) throw noCompilerError('the rules cannot be read');
  const format = options.json ? 'json' : (options.format ?? 'markdown');
  const text = await withVersion(undefined, homeOf(options), async (version) => {
    const policy = await loadVersion(version, opa);
    const parts = partsOf(policy.paths, testFolders(policy.paths, policy.tests), true);
    const entries = catalogueOf(policy.modules ?? [], await firingOf(parts, policy.settings, opa));
    const asJson = (value: unknown) => `${JSON.stringify(value, null, 2)}\n`;
    switch (format) {
      case 'markdown':
        return catalogueMarkdown(entries, policy.revision);
      case 'csv':
        return catalogueCsv(entries);
      case 'json':
        return asJson({ revision: policy.revision, codes: entries });
      case 'oscal':
        return asJson(oscal(entries, policy.revision, `${new Date().toISOString().slice(0, 19)}Z`));
    }
  });
  if (options.output === undefined) {
    process.stdout.write(text);
    return;
  }
  try {
    writeFileSync(options.output, text);
  } catch (thrown) {
    throw new OperatorError(`${options.output} cannot be written: ${messageOf(thrown)}`);
  }
  progress(`written: ${options.output}`);
}
