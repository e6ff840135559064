// What stands in the content: arguments that name another record than they seem to, and answers that carry the session.
import { ENCODINGS } from '../support/encodings.ts';
import { front, legacyServer } from '../support/fronted.ts';
import type { AttackGroup } from './attack.ts';

const BIG = '9007199254740993';
const SESSION = 'Zk3v9QpX7mB2tRw8LcY5hN4d';

/** A backend with one tool that reads an item by its number, and what reached it. */
async function items(body = '{}', type = 'application/json') {
  const heard: string[] = [];
  const server = await legacyServer((request, response) => {
    if (request.url === '/login') return response.writeHead(200, { 'set-cookie': `S=${SESSION}; Path=/` }).end();
    heard.push(request.url ?? '');
    return response.writeHead(200, { 'content-type': type }).end(body);
  });
  const connector = await front({
    yaml: `
backends:
  app:
    url: ${server.url}
    login: [{ request: { method: POST, path: /login } }]
    session: { cookies: [S] }
    expired: [{ status: 401 }]
tools:
  item:
    backend: app
    description: Item
    effect: read
    arguments: { type: object, properties: { id: { type: integer } }, required: [id] }
    request: { path: "/item/{id}" }
    audit: [id]
  page: { backend: app, description: Page, effect: read, request: { path: /page }, result: { as: text } }
`,
  });
  const post = (args: string, id = 1) =>
    connector.post(`{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"item","arguments":${args}}}`);
  return {
    heard,
    post,
    connector,
    async close() {
      await connector.close();
      await server.close();
    },
  };
}

export const contentAttacks: AttackGroup = {
  name: 'content',
  attacks: [
    {
      id: 49,
      title: 'R-87: an argument names a record whose number no double holds',
      expected: 'no other record called; refused 4 of 4',
      async run() {
        const app = await items();
        try {
          const answers = [];
          for (const args of [`{"id":${BIG}}`, '{"id":1e21}', '{"id":1e400}', `{"id":"${BIG}"}`])
            answers.push(await app.post(args, answers.length + 1));
          const refused = answers.filter(({ body }) => body?.error || body?.result?.isError).length;
          const called = app.heard.length === 0 ? 'no other record called' : `called ${app.heard.join()}`;
          return `${called}; refused ${refused} of ${answers.length}`;
        } finally {
          await app.close();
        }
      },
    },
    {
      id: 50,
      title: 'R-87: a message has a key twice, so that two readers see two calls',
      expected: 'refused 400 400 400; nothing called',
      async run() {
        const app = await items();
        try {
          const twice = await app.post('{"id":1,"id":2}');
          const spelt = await app.post('{"id":1,"\\u0069d":2}', 2);
          const message = await app.connector.post(
            '{"jsonrpc":"2.0","id":3,"method":"ping","method":"tools/call","params":{"name":"item","arguments":{"id":1}}}',
          );
          const called = app.heard.length === 0 ? 'nothing called' : `called ${app.heard.join()}`;
          return `refused ${twice.status} ${spelt.status} ${message.status}; ${called}`;
        } finally {
          await app.close();
        }
      },
    },
    {
      id: 52,
      title: 'R-40: a page gives the session in every encoding that software writes',
      expected: `none of ${Object.keys(ENCODINGS).length} came through`,
      async run() {
        const through: string[] = [];
        for (const [name, encode] of Object.entries(ENCODINGS)) {
          const written = encode(SESSION);
          const app = await items(`before ${written} after`, 'text/plain');
          try {
            const answer = await app.connector.call('page');
            if (answer.body.result.content[0].text.includes(written)) through.push(name);
          } finally {
            await app.close();
          }
        }
        return `${through.length === 0 ? 'none' : through.join(', ')} of ${Object.keys(ENCODINGS).length} came through`;
      },
    },
  ],
};
