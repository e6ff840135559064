// Attacks that are to be heard of, or that try to keep others from being heard of; and a token that is to come out nowhere.
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { writePrivateFile } from '../../src/core/files/private-file.ts';
import { CANARIES, canaryBackend, canaryTools, FORMS, findCanaries, startCanaryApp, WAYS } from '../support/canary.ts';
import { type Loose, until } from '../support/harness.ts';
import { signingSecret, startWebReceiver } from '../support/receivers.ts';
import type { Cluster, Replica } from '../support/replicas.ts';
import { type AttackGroup, known, plural } from './attack.ts';

const hook = (url: string, secret: string) => `
alerts:
  receivers:
    hook: { type: webhook, url: "${url}", secrets: [{ file: ${secret} }] }
`;

/** Every file below a folder, by its path. */
function filesIn(dir: string): Record<string, Buffer> {
  return Object.fromEntries(
    readdirSync(dir, { recursive: true, encoding: 'utf8' })
      .map((name) => join(dir, name))
      .filter((path) => statSync(path).isFile())
      .map((path) => [path, readFileSync(path)]),
  );
}

const admin = async (cluster: Cluster, at: Replica, path: string): Promise<string> => {
  const answer = await fetch(new URL(path, at.adminUrl), {
    headers: { authorization: `Bearer ${cluster.adminToken}` },
  });
  return answer.text();
};

export const alertAttacks: AttackGroup = {
  name: 'alerts',
  options: {
    settings: (yaml) =>
      yaml
        .replace(/calls_per_minute: \d+/, 'calls_per_minute: 1000000')
        .replace(/calls_per_hour: \d+/, 'calls_per_hour: 1000000')
        .replace(/denials_per_hour: \d+/, 'denials_per_hour: 1000000'),
  },
  attacks: [
    {
      id: 19,
      title: 'R-40: a marked token and a marked password in everything that the legacy side says, and in every failure',
      expected: `${Object.keys(WAYS).length} ways, ${Object.keys(FORMS).length} forms, 2 secrets: zero hits in results, logs, alerts, spool, metrics, errors and Redis`,
      async run(cluster) {
        const app = await startCanaryApp();
        const receiver = await startWebReceiver();
        const [password, secret] = [join(cluster.dir, 'canary.password'), join(cluster.dir, 'hook.secret')];
        writePrivateFile(password, CANARIES.password);
        writePrivateFile(secret, signingSecret('of the canary'));
        const clients = ['client-19', ...Object.keys(WAYS).map((_, i) => `client-19-${i}`)];
        const replicas: Replica[] = [];
        const results: string[] = [];
        try {
          for (let i = 0; i < 2; i++)
            replicas.push(
              await cluster.start({
                change: (yaml) =>
                  yaml
                    .replace('backends:\n', `backends:\n${canaryBackend(app.url, password, clients)}`)
                    .replace('tools:\n', `tools:\n${canaryTools}`) + hook(receiver.url, secret),
              }),
            );
          const keys = clients.map((id) => cluster.addClient(id, ['manager']));
          const key = keys[0] as string;
          await known(cluster, 'client-19-known');
          const ask = async (at: Replica, tool: string, args: object) => {
            const { headers, text } = await cluster.call(at, `canary_${tool}`, args, { key });
            results.push(JSON.stringify([...headers]), text);
          };
          let turn = 0;
          for (const way of Object.keys(WAYS)) {
            const jobs = Object.keys(FORMS).flatMap((form) =>
              Object.keys(CANARIES).flatMap((canary) =>
                ['json', 'text', 'html', 'write'].map((tool) => ({ tool, args: { way, form, canary } })),
              ),
            );
            await Promise.all(jobs.map(({ tool, args }) => ask(replicas[turn++ % 2] as Replica, tool, args)));
            // On a busy machine some time out while they wait, so what was not said is asked for again.
            for (const { tool, args } of jobs)
              for (let n = 0; n < 5 && !app.said.has(`say ${way} ${args.form} ${args.canary}`); n++)
                await ask(replicas[turn++ % 2] as Replica, tool, args);
          }
          // Logins that fail in each of the ways, and say the password.
          for (const [i, way] of Object.keys(WAYS).entries()) {
            app.login = way;
            const other = keys[i + 1] as string;
            const args = { way: 'json', form: 'plain', canary: 'token' };
            for (let n = 0; n < 5 && !app.said.has(`login ${way} plain password`); n++) {
              const { headers, text } = await cluster.call(replicas[turn++ % 2] as Replica, 'canary_json', args, {
                key: other,
              });
              results.push(JSON.stringify([...headers]), text);
            }
          }
          const outputs: Record<string, string | Buffer> = {};
          for (const [i, at] of replicas.entries())
            for (const path of [
              '/metrics',
              '/readyz?verbose',
              '/api/v1/status',
              '/api/v1/sessions?limit=1000',
              '/api/v1/alerts',
            ])
              outputs[`${path} of replica ${i}`] = await admin(cluster, at, path);
          const crashed = replicas[0] as Replica;
          crashed.child.kill('SIGABRT');
          await until(() => crashed.child.exitCode !== null || crashed.child.signalCode !== null, 'the crash');
          await (replicas[1] as Replica).stop();
          for (const [i, at] of replicas.entries()) {
            outputs[`stderr of replica ${i}`] = at.stderr();
            for (const [path, bytes] of Object.entries(filesIn(at.state))) outputs[path] = bytes;
          }
          results.forEach((text, i) => {
            outputs[`result ${i}`] = text;
          });
          receiver.received.forEach(({ text, headers }, i) => {
            outputs[`alert ${i}`] = JSON.stringify(headers) + text;
          });
          const rows = (await cluster.redis.command('KEYS', '*')) as string[];
          for (const name of rows)
            outputs[`Redis ${name}`] = JSON.stringify(await cluster.redis.command('DUMP', name)) ?? '';
          const hits = findCanaries(outputs);
          const searched = 'results, logs, alerts, spool, metrics, errors and Redis';
          if (receiver.taken.length === 0) return 'no alert was raised';
          const all = Object.keys(WAYS).length * (Object.keys(FORMS).length * 2 + 1);
          if (app.said.size < all) return `${app.said.size} of ${all} were said`;
          return `${Object.keys(WAYS).length} ways, ${Object.keys(FORMS).length} forms, 2 secrets: ${
            hits.length === 0
              ? `zero hits in ${searched}`
              : `${plural(hits.length, 'hit')}: ${hits.slice(0, 10).join('; ')}`
          }`;
        } finally {
          for (const at of replicas) await at.kill();
          await app.close();
          await receiver.close();
        }
      },
    },
    {
      id: 65,
      title: 'R-63: 10,000 alerts of noise over two replicas, then one about a session of somebody else',
      expected: 'told within a second, once; of the noise once for each of its clients, and then how many there were',
      async run(cluster) {
        const receiver = await startWebReceiver();
        const secret = join(cluster.dir, 'hook.secret');
        writePrivateFile(secret, signingSecret('of the flood'));
        const replicas: Replica[] = [];
        try {
          for (let i = 0; i < 2; i++)
            replicas.push(await cluster.start({ change: (yaml) => yaml + hook(receiver.url, secret) }));
          const keys: string[] = [];
          for (let i = 0; i < 20; i++) keys.push(cluster.addClient(`noise-${i}`));
          const victim = await known(cluster, 'victim-65');
          const handles = await Promise.all(keys.map((key) => cluster.initialize(replicas[0] as Replica, { key })));
          const noise = async (from: number) => {
            for (let n = from; n < 10_000; n += 40) {
              const i = n % keys.length;
              const more = { key: keys[i] as string, handle: handles[i] as string, id: 1 };
              await cluster.call(replicas[n % 2] as Replica, 'stock_get', { sku: 'none' }, more);
            }
          };
          await Promise.all(Array.from({ length: 40 }, (_, from) => noise(from)));
          const handle = await cluster.initialize(replicas[1] as Replica, { key: victim });
          for (let i = 0; i < 2; i++)
            await cluster.call(replicas[i] as Replica, 'stock_list', {}, { key: victim, handle, id: 5 });
          const raised = Date.now();
          const about = (id: string) =>
            receiver.taken.filter(({ data }) => data.client?.id === id && data.code === 'replay.seen');
          await until(() => about('victim-65').length > 0, 'the alert about the victim');
          const soon = Date.now() - raised < 1000;
          const recorded = replicas
            .flatMap((at) => at.audit('alert'))
            .filter(({ reasons, client }) => reasons[0] === 'replay.seen' && client.id.startsWith('noise-')).length;
          // A replica tells the board how many more there were a few times a second, so the last of them are waited for.
          let counted = 0;
          const all = async () => {
            const { incidents } = JSON.parse(await admin(cluster, replicas[0] as Replica, '/api/v1/alerts')) as Loose;
            counted = incidents
              .filter(({ code, client }: Loose) => code === 'replay.seen' && client?.id.startsWith('noise-'))
              .reduce((sum: number, { count }: Loose) => sum + count, 0);
            return counted >= recorded;
          };
          const whole =
            recorded > 9000 &&
            (await until(all, 'the count of all')
              .then(() => counted === recorded)
              .catch(() => false));
          const perClient = keys.map(
            (_, i) =>
              new Set(
                about(`noise-${i}`)
                  .filter(({ type }) => type === 'alert.triggered')
                  .map(({ data }) => data.session),
              ).size - about(`noise-${i}`).filter(({ type }) => type === 'alert.triggered').length,
          );
          const once = perClient.every((difference) => difference === 0);
          return `told ${soon ? 'within a second' : 'late'}, ${about('victim-65').length === 1 ? 'once' : 'more than once'}; of the noise ${once ? 'once for each of its clients' : 'more'}, and then ${whole ? 'how many there were' : `${counted} of ${recorded}`}`;
        } finally {
          for (const at of replicas) await at.stop();
          await receiver.close();
        }
      },
    },
  ],
};
