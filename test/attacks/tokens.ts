// Captured, copied and altered credentials.
import { reasons, until } from '../support/harness.ts';
import { AUDIENCE_URL, type Cluster, type Replica } from '../support/replicas.ts';
import { createProofKey, makeProof, type ProofKey, type ProofParts } from '../support/tokens.ts';
import { type AttackGroup, known, plural } from './attack.ts';

interface Holder {
  key: ProofKey;
  token: string;
  subject: string;
}

/** A user whose access token is bound to a DPoP key. */
async function holder({ issuer }: Cluster, subject: string, claims: object = {}): Promise<Holder> {
  const key = await createProofKey();
  return { key, subject, token: await issuer.token({ sub: subject, cnf: { jkt: key.thumbprint }, ...claims }) };
}

const send = (cluster: Cluster, to: Replica, { token }: Holder, proof: string | undefined, scheme = 'DPoP') =>
  cluster.call(
    to,
    'stock_list',
    {},
    {
      headers: { authorization: `${scheme} ${token}`, ...(proof !== undefined && { dpop: proof }) },
    },
  );

async function prove(cluster: Cluster, to: Replica, who: Holder, parts: Partial<ProofParts> = {}): Promise<string> {
  const asked = await send(cluster, to, who, await makeProof(who.key, { token: who.token, url: AUDIENCE_URL }));
  const nonce = asked.headers.get('dpop-nonce') ?? undefined;
  return makeProof(who.key, { token: who.token, url: AUDIENCE_URL, nonce, ...parts });
}

const alertsAbout = (cluster: Cluster, subject: string, reason: string) =>
  cluster.audit('alert').filter((alert) => alert.client?.subject === subject && alert.reasons.includes(reason)).length;

export const tokenAttacks: AttackGroup = {
  name: 'tokens',
  attacks: [
    {
      id: 1,
      title: 'R-08: a captured DPoP request is replayed on the other replica',
      expected: '200, then 401; 1 alert',
      async run(cluster) {
        const [a, b] = cluster.replicas as [Replica, Replica];
        const alice = await holder(cluster, 'victim-1');
        const proof = await prove(cluster, a, alice);
        const first = await send(cluster, a, alice, proof);
        const second = await send(cluster, b, alice, proof);
        await until(() => alertsAbout(cluster, alice.subject, 'authn.proof_replayed'), 'the alert');
        const alerts = alertsAbout(cluster, alice.subject, 'authn.proof_replayed');
        return `${first.status}, then ${second.status}; ${plural(alerts, 'alert')}`;
      },
    },
    {
      id: 2,
      title: '50 copies of one proof at the same time, on both replicas',
      expected: '1 accepted, 49 refused; 1 decision',
      async run(cluster) {
        const alice = await holder(cluster, 'victim-2');
        const proof = await prove(cluster, cluster.replicas[0] as Replica, alice);
        const answers = await Promise.all(
          Array.from({ length: 50 }, (_, i) => send(cluster, cluster.replicas[i % 2] as Replica, alice, proof)),
        );
        const count = (status: number) => answers.filter((answer) => answer.status === status).length;
        const decisions = cluster.audit('decision').filter(({ client }) => client.subject === alice.subject).length;
        return `${count(200)} accepted, ${count(401)} refused; ${plural(decisions, 'decision')}`;
      },
    },
    {
      id: 3,
      title: 'a stolen bearer token is used from another network while its owner keeps working',
      expected: 'deny binding.concurrent_networks; alert; session ended',
      async run(cluster) {
        const [a, b] = cluster.replicas as [Replica, Replica];
        const token = await cluster.issuer.token({ sub: 'victim-3' });
        const headers = { authorization: `Bearer ${token}` };
        const before = cluster.legacy.stats().liveSessions;
        await cluster.call(a, 'stock_list', {}, { headers });
        const stolen = await cluster.call(b, 'stock_list', {}, { headers, ip: '203.0.113.9' });
        await until(() => cluster.legacy.stats().liveSessions === before, 'the session to end');
        const alerts = alertsAbout(cluster, 'victim-3', 'binding.concurrent_networks');
        return `deny ${reasons(stolen).join()}; ${alerts > 0 ? 'alert' : 'no alert'}; session ended`;
      },
    },
    {
      id: 4,
      title: 'a DPoP-bound token is presented as Bearer',
      expected: '401',
      async run(cluster) {
        const alice = await holder(cluster, 'victim-4');
        const proof = await prove(cluster, cluster.replicas[0] as Replica, alice);
        return String((await send(cluster, cluster.replicas[1] as Replica, alice, proof, 'Bearer')).status);
      },
    },
    {
      id: 5,
      title: 'DPoP proofs have a wrong htm, htu, ath or nonce, come twice in one header, or use alg none',
      expected: '401 401 401 401 401 401',
      async run(cluster) {
        const [a, b] = cluster.replicas as [Replica, Replica];
        const alice = await holder(cluster, 'victim-5');
        const good = await prove(cluster, a, alice);
        const none = Buffer.from(JSON.stringify({ typ: 'dpop+jwt', alg: 'none', jwk: alice.key.jwk }));
        const wrong = [
          await prove(cluster, a, alice, { method: 'GET' }),
          await prove(cluster, a, alice, { url: 'https://sallyport.example/other' }),
          await prove(cluster, a, alice, { claims: { ath: 'A'.repeat(43) } }),
          await prove(cluster, a, alice, { nonce: 'never given' }),
          `${good}, ${await prove(cluster, a, alice)}`,
          `${none.toString('base64url')}.${good.split('.')[1]}.`,
        ];
        const answers = await Promise.all(wrong.map((proof) => send(cluster, b, alice, proof)));
        return answers.map(({ status }) => status).join(' ');
      },
    },
    {
      id: 20,
      title: 'R-43: a fingerprint from the log is used as a credential, a handle and a backend cookie',
      expected: '401, 404, not a session',
      async run(cluster) {
        const [a] = cluster.replicas as [Replica];
        const key = await known(cluster, 'victim-20');
        await cluster.call(a, 'stock_list', {}, { key });
        const used = await until(
          () => a.audit('outcome').findLast((record) => record.session !== null && record.client?.id !== ''),
          'the outcome',
        );
        const fingerprint = used.session.token as string;
        const asToken = await cluster.call(a, 'stock_list', {}, { key: fingerprint });
        const asHandle = await cluster.call(a, 'stock_list', {}, { key, handle: fingerprint });
        const direct = await fetch(`${cluster.legacy.url}/api/me`, {
          headers: { cookie: `JSESSIONID=${fingerprint}` },
          redirect: 'manual',
        });
        return `${asToken.status}, ${asHandle.status}, ${direct.status === 302 ? 'not a session' : direct.status}`;
      },
    },
  ],
};
