import { parseEnv, parseInfo, parseServersState } from '../../../synapse/haproxy/runtime/parse.ts';
import { parseSessions } from '../../../synapse/haproxy/runtime/sessions.ts';

/** Sends commands over one connection in prompt mode, each on a line of its own. @returns one reply for each */
export type Send = (commands: readonly string[]) => Promise<readonly string[]>;

/** Where clients connect, beside the socket of the runtime API. */
export function clientsSocket(socket: string): string {
  return `${socket}.clients`;
}

/** The file that the scripts expect HAProxy to run, with more lines at its end. Nothing listens on the ports of its servers. */
export function scriptConfig(socket: string, more: readonly string[] = []): string {
  return [
    'global',
    `\tstats socket ${socket} level admin`,
    '\tsetenv SYNAPSE_GEN first',
    'defaults',
    '\tmode http',
    '\ttimeout connect 1s',
    '\ttimeout client 30s',
    '\ttimeout server 1s',
    '\toption idle-close-on-response',
    'frontend clients',
    `\tbind unix@${clientsSocket(socket)}`,
    '\tdefault_backend api',
    'backend api',
    '\tserver one 127.0.0.1:1 id 1 weight 10',
    '\tserver two 127.0.0.1:2 id 2 disabled',
    'backend empty',
    'backend hashed',
    '\tbalance source',
    '\tserver one 127.0.0.1:1 id 1',
    ...more,
    '',
  ].join('\n');
}

/** Sends what synapse sends, and more, and writes down the answers; what each run has of its own is left out. */
export async function observeHaproxy(send: Send): Promise<readonly string[]> {
  const seen: string[] = [];
  const say = async (command: string): Promise<string> => {
    const [reply = ''] = await send([command]);
    return reply;
  };
  const told = async (command: string): Promise<void> => {
    const reply = (await say(command)).trim().replace(/\s+/g, ' ');
    seen.push(`${command}: ${JSON.stringify(meaning(reply))}`);
  };
  const state = async (backend = ''): Promise<void> => {
    const reply = await say(`show servers state ${backend}`.trim());
    if (!reply.includes('# ')) {
      seen.push(`state of ${backend}: ${meaning(reply.trim())}`);
      return;
    }
    const rows = parseServersState(reply).map(
      ({ backend: of, name, id, address, maintenance, drained, failing, weight, initialWeight }) =>
        `${of}/${name} ${id} ${address} ${[maintenance && 'maintenance', drained && 'drained', failing && 'failing'].filter(Boolean).join(' ') || 'ready'} ${weight}/${initialWeight}`,
    );
    seen.push(`state${backend === '' ? '' : ` of ${backend}`}: ${rows.join('; ')}`);
  };

  const info = parseInfo(await say('show info'));
  seen.push(`info: ${info.pid > 0}, stopping ${info.stopping}`);
  seen.push(`generation: ${parseEnv(await say('show env SYNAPSE_GEN'), 'SYNAPSE_GEN')}`);
  seen.push(`another variable: ${parseEnv(await say('show env SYNAPSE_OTHER'), 'SYNAPSE_OTHER')}`);
  await state();
  await state('api');
  await state('empty');
  await state('missing');
  await told('set server api/one weight 5');
  await told('set server api/one weight 100%');
  await told('set server api/one state drain');
  await state('api');
  await told('set server api/one state maint');
  await state('api');
  await told('set server api/one state ready');
  await told('set server api/two state ready');
  await state('api');
  await told('set server api/missing state ready');
  await told('set server missing/one state ready');
  await told('add server api/three 127.0.0.1:3 id 3 weight 7');
  await state('api');
  await told('add server api/three 127.0.0.1:3 id 4');
  await told('add server api/four 127.0.0.1:4 id 3');
  await told('add server missing/three 127.0.0.1:3');
  await told('add server hashed/three 127.0.0.1:3');
  await told('add server empty/first 127.0.0.1:1 check inter 1h id 9');
  await told('enable health empty/first');
  await told('set server empty/first state ready');
  await state('empty');
  await told('set server empty/first health down');
  await state('empty');
  await told('set server empty/first state maint');
  await told('set server empty/first state ready');
  await state('empty');
  await told('set maxconn server api/one 10');
  await told('del server api/three');
  await told('set server api/three state ready');
  await told('del server api/three');
  await told('set server api/three state drain');
  await told('del server api/three');
  await told('set server api/three state maint');
  await told('del server api/three');
  await told('del server api/missing');
  await state('api');
  const backendId = parseServersState(await say('show servers state api'))[0]?.backendId;
  seen.push(`sessions: ${parseSessions(await say(`show stat ${backendId} 4 1`)).get('api/one')}`);
  await told('nonsense');
  const replies = await send([
    'set server api/one weight 1',
    'set server api/missing weight 1',
    'show env SYNAPSE_GEN',
  ]);
  seen.push(`three at once: ${replies.map((reply) => meaning(reply.trim())).join(' | ')}`);
  return seen;
}

/** What a reply says, without what differs between releases. */
export function meaning(reply: string): string {
  const known: readonly (readonly [RegExp, string])[] = [
    [/New server registered/, 'registered'],
    [/Server deleted/, 'deleted'],
    [/No such server/, 'no such server'],
    [/No such backend|Can't find backend/, 'no such backend'],
    [/Already exists a server/, 'exists'],
    [/already used/, 'id is taken'],
    [/dynamic load balancing|does not support dynamic/, 'no dynamic servers here'],
    [/Only servers in maintenance/, 'not in maintenance'],
    [/Unknown command/i, 'unknown command'],
  ];
  return known.find(([pattern]) => pattern.test(reply))?.[1] ?? reply;
}
