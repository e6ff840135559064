// Forged client addresses, one session used from two networks, and a backend that redirects to another host.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ELSEWHERE, HOME, reasons, startHarness } from '../support/harness.ts';
import { policyFolder } from '../support/policies.ts';
import { type AttackGroup, plural } from './attack.ts';

export const networkAttacks: AttackGroup = {
  name: 'network',
  attacks: [
    {
      id: 17,
      title: 'a client forges forwarding headers and spells its address in odd ways',
      expected: 'the same decision for 4 forgeries; 4 odd spellings refused 400',
      async run() {
        const h = await startHarness();
        try {
          const forged: Record<string, string>[] = [
            { 'x-forwarded-for': `${ELSEWHERE}, ${HOME}` },
            { forwarded: `for=${ELSEWHERE}` },
            { 'x-real-ip': ELSEWHERE },
            { 'x-forwarded-for': `::ffff:${HOME}` },
          ];
          for (const headers of forged) await h.call('stock_list', {}, { headers });
          const odd = ['012.1.2.3', '0x0a010203', '167838211', '10.1.515'];
          const refused = await Promise.all(odd.map((ip) => h.call('stock_list', {}, { ip })));
          const decisions = await h.audit('decision');
          const same = decisions.filter(({ input }) => input.client.ip === HOME).length;
          const outcomes = new Set(decisions.map(({ result }) => result.outcome));
          const count = refused.filter(({ status }) => status === 400).length;
          return `${outcomes.size === 1 ? 'the same decision' : 'different decisions'} for ${same} forgeries; ${count} odd spellings refused 400`;
        } finally {
          await h.close();
        }
      },
    },
    {
      id: 18,
      title: 'one session is used alternately from two networks',
      expected: 'both stopped; high alert; the backend session is dead',
      async run() {
        const h = await startHarness();
        try {
          await h.call('stock_list');
          const thief = await h.call('stock_list', {}, { ip: ELSEWHERE });
          const owner = await h.call('stock_list');
          const again = await h.call('stock_list', {}, { ip: ELSEWHERE });
          const stopped = [thief, owner, again].every((answer) =>
            reasons(answer).includes('binding.concurrent_networks'),
          );
          const high = (await h.audit('alert')).some(({ severity }) => severity === 'high');
          const live = h.legacy.stats().liveSessions;
          return `${stopped ? 'both stopped' : 'not stopped'}; ${high ? 'high alert' : 'no alert'}; ${
            live === 0 ? 'the backend session is dead' : `${live} live`
          }`;
        } finally {
          await h.close();
        }
      },
    },
    {
      id: 53,
      title:
        'R-98: where a site lets clients without a key move, a thief with credential and handle takes turns with the owner',
      expected: 'the thief had 1 call; then both stopped; high alert; the backend session is dead',
      async run() {
        const policies = policyFolder({
          'data.yaml': (yaml) => yaml.replace('first_crossing: deny', 'first_crossing: rotate'),
        });
        const h = await startHarness({ policyDir: policies.dir });
        try {
          const handle = await h.initialize();
          await h.call('stock_list', {}, { handle });
          const turns = [];
          for (let i = 0; i < 8; i++)
            turns.push(reasons(await h.call('stock_list', {}, { handle, ip: i % 2 === 0 ? ELSEWHERE : HOME })));
          const had = turns.filter((codes, i) => i % 2 === 0 && codes.length === 0).length;
          const stopped = turns.slice(1).every((codes) => codes.includes('binding.concurrent_networks'));
          const high = (await h.audit('alert')).some(({ severity }) => severity === 'high');
          await h.connector.settled();
          const live = h.legacy.stats().liveSessions;
          return `the thief had ${plural(had, 'call')}; then ${stopped ? 'both stopped' : 'not stopped'}; ${
            high ? 'high alert' : 'no alert'
          }; ${live === 0 ? 'the backend session is dead' : `${live} live`}`;
        } finally {
          await h.close();
          policies.remove();
        }
      },
    },
    {
      id: 54,
      title:
        'R-98: somebody with the credential calls from a place where its role may not be used, to shut its owner out',
      expected: 'refused 5 of 5; the owner was served 5 of 5',
      async run() {
        const policies = policyFolder({
          'data.yaml': (yaml) => yaml.replace('networks: {}', 'networks: { clerk: [10.1.0.0/16] }'),
        });
        const h = await startHarness({ policyDir: policies.dir });
        try {
          await h.call('stock_list');
          let [refused, served] = [0, 0];
          for (let i = 0; i < 5; i++) {
            if (reasons(await h.call('stock_list', {}, { ip: ELSEWHERE })).includes('access.wrong_network'))
              refused += 1;
            if (reasons(await h.call('stock_list')).length === 0) served += 1;
          }
          return `refused ${refused} of 5; the owner was served ${served} of 5`;
        } finally {
          await h.close();
          policies.remove();
        }
      },
    },
    {
      id: 23,
      title: 'R-50: the backend redirects calls and logins to another host',
      expected: 'refused backend.redirected; login refused; no header left',
      async run() {
        const heard: string[] = [];
        const elsewhere = createServer((request, response) => {
          heard.push(JSON.stringify(request.rawHeaders));
          response.end();
        });
        const thief = createServer((_request, response) => {
          const { port } = elsewhere.address() as AddressInfo;
          response.writeHead(302, { location: `http://127.0.0.1:${port}/login` }).end();
        });
        for (const server of [elsewhere, thief])
          await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
        const h = await startHarness();
        const { port } = thief.address() as AddressInfo;
        const captured = await startHarness({
          edit: (yaml) => yaml.replace('url: ${LEGACY_INVENTORY_URL}', `url: http://127.0.0.1:${port}`),
        });
        try {
          await h.call('stock_list');
          h.legacy.inject({ failure: 'redirect' });
          const call = await h.call('stock_list');
          const login = await captured.call('stock_list');
          return `refused ${reasons(call).join()}; ${
            reasons(login).includes('session.login_failed') ? 'login refused' : 'login not refused'
          }; ${heard.length === 0 ? 'no header left' : `${heard.length} requests left`}`;
        } finally {
          await h.close();
          await captured.close();
          elsewhere.close();
          thief.close();
        }
      },
    },
  ],
};
