// Guessed, stolen and chosen handles.
import { randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { until } from '../support/harness.ts';
import { AUDIENCE_URL, type Replica } from '../support/replicas.ts';
import { createProofKey, makeProof } from '../support/tokens.ts';
import { type AttackGroup, known } from './attack.ts';

/** Sends a request as raw bytes, because a client library would refuse to send such a request. */
function raw(url: string, lines: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname, () => socket.write(lines.join('\r\n')));
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      socket.end();
    });
    socket.on('close', () => resolve(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 'closed'));
    socket.on('error', reject);
  });
}

export const handleAttacks: AttackGroup = {
  name: 'handles',
  attacks: [
    {
      id: 6,
      title: '10,000 handles are guessed while the owner of a handle keeps working',
      expected: 'none found; limited after 60; alerted once; owner 200, stranger with his own handle 200',
      async run(cluster) {
        const [a] = cluster.replicas as [Replica];
        const owner = await known(cluster, 'owner-6');
        const guesser = await known(cluster, 'guesser-6');
        const handle = await cluster.initialize(a, { key: owner });
        const own = await cluster.initialize(a, { key: guesser });
        const statuses = new Map<number, number>();
        for (let sent = 0; sent < 10_000; sent += 50) {
          await Promise.all(
            Array.from({ length: 50 }, async () => {
              const guess = `${handle.slice(0, 9)}${randomBytes(45).toString('base64url')}`;
              const { status } = await cluster.rpc(a, 'ping', {}, { key: guesser, handle: guess });
              statuses.set(status, (statuses.get(status) ?? 0) + 1);
            }),
          );
        }
        const alerts = a
          .audit('alert')
          .filter(({ client, reasons }) => client?.id === 'guesser-6' && reasons.includes('handle.too_many_unknown'));
        const owned = await cluster.call(a, 'stock_list', {}, { key: owner, handle });
        const strangers = await cluster.call(a, 'stock_list', {}, { key: guesser, handle: own });
        const found = statuses.get(200) ?? 0;
        const limited =
          (statuses.get(404) ?? 0) + (statuses.get(429) ?? 0) === 10_000 && (statuses.get(404) ?? 0) % 60 === 0;
        return `${found || 'none'} found; ${limited ? 'limited after 60' : JSON.stringify([...statuses])}; ${
          alerts.length >= 1 && alerts.length <= 3 ? 'alerted once' : `${alerts.length} alerts`
        }; owner ${owned.status}, stranger with his own handle ${strangers.status}`;
      },
    },
    {
      id: 7,
      title: 'client B uses the handle of client A on each replica',
      expected: '404 404 as for an unknown one; A 200',
      async run(cluster) {
        const [a, b] = cluster.replicas as [Replica, Replica];
        const [alice, bob] = [await known(cluster, 'alice-7'), await known(cluster, 'bob-7')];
        const handle = await cluster.initialize(a, { key: alice });
        const stolen = await cluster.call(a, 'stock_list', {}, { key: bob, handle, id: 9 });
        const elsewhere = await cluster.call(b, 'stock_list', {}, { key: bob, handle, id: 9 });
        const unknown = await cluster.call(b, 'stock_list', {}, { key: bob, handle: 'unknown', id: 9 });
        const same = stolen.text === unknown.text && elsewhere.text === unknown.text;
        const owner = await cluster.call(b, 'stock_list', {}, { key: alice, handle, id: 9 });
        return `${stolen.status} ${elsewhere.status} ${same ? 'as for an unknown one' : 'told apart'}; A ${owner.status}`;
      },
    },
    {
      id: 8,
      title: 'handles that the attacker made up, one of them with CR LF, are sent twice',
      expected: '404 404 404 404; CR LF 400; nothing created',
      async run(cluster) {
        const [a] = cluster.replicas as [Replica];
        const keysBefore = (await cluster.redis.command('KEYS', '*window*')) as string[];
        const statuses: number[] = [];
        for (const handle of ['chosen', 'a'.repeat(5000)])
          for (let i = 0; i < 2; i++) statuses.push((await cluster.rpc(a, 'ping', {}, { handle })).status);
        const { host } = new URL(a.url);
        const crlf = await raw(a.url, [
          'POST /mcp HTTP/1.1',
          `Host: ${host}`,
          `Authorization: Bearer ${cluster.key}`,
          'X-Forwarded-For: 10.1.2.3',
          'Content-Type: application/json',
          'Mcp-Session-Id: x\r\rInjected: 1',
          'Content-Length: 2',
          '',
          '{}',
        ]);
        const keysAfter = (await cluster.redis.command('KEYS', '*window*')) as string[];
        return `${statuses.join(' ')}; CR LF ${crlf}; ${keysAfter.length === keysBefore.length ? 'nothing' : 'something'} created`;
      },
    },
    {
      id: 9,
      title: 'R-05: a client tries to upgrade a session that was opened without identity, or without a key',
      expected: 'anonymous 401; keyless session replaced before a call with a key',
      async run(cluster) {
        const [a, b] = cluster.replicas as [Replica, Replica];
        const anonymous = await fetch(a.url, {
          method: 'POST',
          headers: { 'content-type': 'application/json', 'x-forwarded-for': '10.1.2.3' },
          body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params: {} }),
        });
        const plain = await cluster.issuer.token({ sub: 'victim-9' });
        await cluster.call(a, 'stock_list', {}, { headers: { authorization: `Bearer ${plain}` } });
        const key = await createProofKey();
        const token = await cluster.issuer.token({ sub: 'victim-9', cnf: { jkt: key.thumbprint } });
        const send = (dpop: string) =>
          cluster.call(b, 'stock_list', {}, { headers: { authorization: `DPoP ${token}`, dpop } });
        const asked = await send(await makeProof(key, { token, url: AUDIENCE_URL }));
        const nonce = asked.headers.get('dpop-nonce') ?? undefined;
        await send(await makeProof(key, { token, url: AUDIENCE_URL, nonce }));
        const decision = await until(
          () => b.audit('decision').findLast(({ client }) => client.subject === 'victim-9'),
          'the decision',
        );
        const replaced =
          decision.result.outcome === 'rotate' && decision.result.reasons[0].code === 'binding.key_added';
        return `anonymous ${anonymous.status}; keyless session ${replaced ? 'replaced before a call with a key' : 'kept'}`;
      },
    },
  ],
};
