// Attacks by somebody who can write the policy folder or has an old copy of it, and by a client whose arguments make a rule run
// away.
import { generateKeyPairSync } from 'node:crypto';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PACKAGE_ROOT } from '../../src/core/paths.ts';
import { sha256 } from '../../src/decision/manifest.ts';
import { compile, writeCompiled } from '../../src/policy/compiler.ts';
import { findOpa } from '../../src/policy/opa.ts';
import { readFiles } from '../../src/policy/signed/files.ts';
import { sign } from '../../src/policy/signed/sign.ts';
import { run } from '../support/cli.ts';
import { reasons, until } from '../support/harness.ts';
import { forgedFolder } from '../support/policies.ts';
import type { Cluster, Replica } from '../support/replicas.ts';
import { QUADRATIC, withNote } from '../support/slow-rules.ts';
import type { AttackGroup } from './attack.ts';

const withPolicy = (settings: string) => (yaml: string) => yaml.replace(/^policy: \{.*\}$/m, `policy: { ${settings} }`);
const neededOpa = async () => {
  const opa = await findOpa({ build: false });
  if (!opa) throw new Error('this attack needs OPA: put it on PATH, or run "sallyport policy check", which builds it');
  return opa;
};
/** "starts", or what keeps it from starting. */
const startOf = async (cluster: Cluster, settings: string, says: RegExp): Promise<string> => {
  try {
    await (await cluster.start({ change: withPolicy(settings) })).stop();
    return 'starts';
  } catch (thrown) {
    return says.exec(String(thrown))?.[0] ?? `other: ${String(thrown).slice(0, 200)}`;
  }
};
function keys(cluster: Cluster): { key: string; pub: string } {
  const pair = generateKeyPairSync('ed25519');
  const [key, pub] = [join(cluster.dir, 'release.key'), join(cluster.dir, 'release.pub')];
  writeFileSync(key, pair.privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  writeFileSync(pub, pair.publicKey.export({ type: 'spki', format: 'pem' }));
  return { key, pub };
}

/** A policy folder of this version, signed; `change`: to its data.yaml. */
async function released(cluster: Cluster, name: string, key: string, at: number, change = (yaml: string) => yaml) {
  const dir = join(cluster.dir, name);
  cpSync(join(PACKAGE_ROOT, 'policies'), dir, { recursive: true });
  const data = join(dir, 'data.yaml');
  writeFileSync(data, change(readFileSync(data, 'utf8')));
  writeFileSync(join(dir, '.signatures.json'), await sign(await readFiles(dir), key, at));
  return dir;
}

/** Puts a module that counts no calls beside the rules that do, with its own hash, and no case to tell it by. */
async function vouchForItself(dir: string): Promise<void> {
  const strict = JSON.parse(readFileSync(join(dir, 'compiled', 'manifest.json'), 'utf8'));
  const rule = join(dir, 'sallyport', 'usage', 'usage.rego');
  const text = readFileSync(rule, 'utf8');
  writeFileSync(rule, text.replaceAll('calls > limit', 'calls > limit + 1000000'));
  const { wasm } = await compile(dir, await neededOpa());
  writeFileSync(rule, text);
  const cases = `${JSON.stringify({ version: 1, settings: [], cases: [] })}\n`;
  const manifest = { ...strict, wasm_sha256: sha256(wasm), gate: { ...strict.gate, cases: sha256(cases) } };
  writeCompiled(dir, { wasm, manifest, cases });
}

export const policyAttacks: AttackGroup = {
  name: 'policy',
  options: { replicas: 1 },
  attacks: [
    {
      id: 58,
      title: 'R-38: a module that counts no calls stands with its own hash beside the rules that do',
      expected: 'none: starts; compared: is not what its sources compile to; signed: was changed after it was signed',
      async run(cluster) {
        const { key, pub } = keys(cluster);
        const dir = await released(cluster, 'vouches', key, 1_700_000_000);
        await vouchForItself(dir);
        const [none, compared, signed] = [
          await startOf(cluster, `dir: ${dir}`, /$^/),
          await startOf(cluster, `dir: ${dir}, require: compared`, /is not what its sources compile to/),
          await startOf(cluster, `dir: ${dir}, keys: { release: { file: ${pub} } }`, /was changed after it was signed/),
        ];
        return `none: ${none}; compared: ${compared}; signed: ${signed}`;
      },
    },
    {
      id: 59,
      title: 'R-38, R-96: an old policy, rightly signed, is put in the place of the one that mended it',
      expected: 'the newer one decides after the restart; the activation is refused; on record 2',
      async run(cluster) {
        const { key, pub } = keys(cluster);
        const newer = await released(cluster, 'newer', key, 1_700_000_100);
        const older = await released(cluster, 'older', key, 1_700_000_000, (yaml) =>
          yaml.replace(/calls_per_minute: \d+/, 'calls_per_minute: 100000'),
        );
        const with_ = (dir: string) => withPolicy(`dir: ${dir}, keys: { release: { file: ${pub} } }`);
        const first = await cluster.start({ change: with_(newer) });
        const decides = (replica: Replica) => replica.audit('event').findLast(({ event }) => event === 'sys_startup');
        const { revision } = decides(first);
        await first.stop();
        const again = await cluster.start({ again: first, change: with_(older) });
        const stays = decides(again).revision === revision;
        const activated = await run([
          ...['policy', 'activate', older, '--reason', 'an old copy', '--url', again.adminUrl],
          ...['--token-file', join(cluster.dir, 'admin.token')],
        ]);
        const refusals = () => again.audit('event').filter(({ event }) => event === 'policy_refused').length;
        await until(async () => refusals() >= 2, 'both to be on record');
        const recorded = refusals();
        await again.stop();
        return `the ${stays ? 'newer' : 'older'} one decides after the restart; the activation is ${activated.code === 0 ? 'done' : 'refused'}; on record ${recorded}`;
      },
    },
    {
      id: 60,
      title: 'R-75: a client sends 20 calls at once whose arguments make a rule run for minutes, and then goes on',
      expected: '1 evaluated, 20 refused; another client 50 of 50; data.site.repeats.findings; the policy stays',
      async run(cluster) {
        const folder = await forgedFolder(await neededOpa(), { 'site/repeats.rego': QUADRATIC });
        const at = await cluster.start({
          change: (yaml) => withNote(withPolicy(`dir: ${folder.dir}`)(yaml)),
        });
        const [hostile, other] = [cluster.addClient('client-60', ['clerk']), cluster.addClient('other-60', ['clerk'])];
        for (const key of [hostile, other])
          await until(
            async () => (await cluster.rpc(at, 'ping', {}, { key, ip: '198.51.100.1' })).status === 200,
            'the client to be known',
          );
        const note = 'ab---'.repeat(40_000);
        const attack = Promise.all(
          Array.from({ length: 20 }, () => cluster.call(at, 'stock_get', { sku: 'report', note }, { key: hostile })),
        );
        let good = 0;
        for (let i = 0; i < 50; i += 1)
          good += (await cluster.call(at, 'stock_get', { sku: 'A-1' }, { key: other })).body.result.isError ? 0 : 1;
        const refused = (await attack).filter((answer) => reasons(answer).includes('decision.over_budget'));
        const named = () => at.audit('alert').find(({ reasons }) => reasons.includes('decision.over_budget'));
        await until(async () => named() !== undefined, 'the alert');
        const asked = at.audit('decision').filter(({ detail }) => String(detail).startsWith('cut after'));
        const changes = at.audit('event').filter(({ event }) => /^policy_/.test(event));
        await at.stop();
        folder.remove();
        return `${asked.length} evaluated, ${refused.length} refused; another client ${good} of 50; ${named()?.params.rule}; the policy ${changes.length === 0 ? 'stays' : 'changed'}`;
      },
    },
  ],
};
