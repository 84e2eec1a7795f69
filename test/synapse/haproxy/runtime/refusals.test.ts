import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { describe, it, type TestContext } from 'node:test';
import type { Instance } from '../../../../common/instance.ts';
import { desiredServers } from '../../../../synapse/haproxy/spec/desired-service.ts';
import { textsOf } from '../../../../synapse/haproxy/spec/reload-reason.ts';
import type { BackendSpec } from '../../../../synapse/haproxy/spec/types.ts';
import { eventually } from '../../../support/eventually.ts';
import { fakeRuntime, fakeWorker } from '../../../support/haproxy/fake-runtime.ts';
import { instance } from '../../../support/haproxy/haproxy-output.ts';
import { runProcess } from '../../../support/haproxy/running-process.ts';
import { recordingLog } from '../../../support/process/recording-log.ts';

const { id } = instance(1);
/** A row of `show servers state`: its `admin` is 0 in service, 1 in maintenance, 8 drained. */
const row = (name: string, { admin = 0, weight = 1 } = {}): string =>
  `3 api 1 ${name} 127.0.0.1 ${admin === 1 ? 0 : 2} ${admin} ${weight} 1 0 1 0 0 0 0 0 0 - 1 - 0 0 - - 0`;

interface Case {
  /** The lines of `show servers state`, whatever synapse sends. */
  readonly rows: readonly string[];
  readonly wanted: readonly Instance[];
  /** The commands that HAProxy does not carry out. */
  readonly commands: RegExp;
  readonly options?: string;
  /** Words of the server's line in the file that HAProxy has loaded. */
  readonly inFile?: string;
}

/** Each kind of command, with servers that need it. */
const cases: Readonly<Record<string, Case>> = {
  'add server': { rows: [], wanted: [instance(1)], commands: /^add server/ },
  'enable health': { rows: [], wanted: [instance(1)], commands: /^enable health/, options: 'check' },
  'enable agent': { rows: [], wanted: [instance(1)], commands: /^enable agent/, options: 'agent-check agent-port 9' },
  'set server state ready': { rows: [], wanted: [instance(1)], commands: /state ready/ },
  'set server state drain': { rows: [row(id)], wanted: [instance(1, { state: 'drain' })], commands: /state drain/ },
  'set server state maint': { rows: [row(id)], wanted: [], commands: /state maint/ },
  'set server weight': { rows: [row(id)], wanted: [instance(1, { weight: 9 })], commands: /weight 9/ },
  'set maxconn server': {
    rows: [row(id)],
    wanted: [instance(1, { serverOptions: 'maxconn 9' })],
    commands: /^set maxconn/,
    inFile: 'maxconn 5',
  },
};

/** What HAProxy says to a command that it does not carry out. */
const answers: Readonly<Record<string, string>> = {
  'a refusal': 'Permission denied\n',
  'a refusal that hints at an unknown state': 'Already exists a server with the same name in backend.\n',
  'a missing server': 'No such server.\n',
  'the word of a worker that stops, and does not stop': 'Proxy is disabled.\n',
  'nothing, and does nothing': '',
};

/** A process over a HAProxy that answers with `answer` and never changes. `replaceWorker`: another worker takes over. */
async function processOver(t: TestContext, given: Case, answer: string) {
  const { log, lines } = recordingLog();
  let pid = 7;
  const sent: string[] = [];
  const worker = (line: string): string => {
    if (given.commands.test(line)) {
      sent.push(line);
      return answer === '' && line.startsWith('add') ? 'New server registered.\n\n> ' : `${answer}\n> `;
    }
    if (line.startsWith('add')) return 'New server registered.\n\n> ';
    return fakeWorker({ pid, startedAt: 1_000 + pid, generation: 'g', servers: given.rows })(line);
  };
  const { path } = await fakeRuntime(t, { answer: worker });
  const file = `global\n\tsetenv SYNAPSE_GEN g\nbackend api\n\tserver ${id} 127.0.0.1:1 ${given.inFile ?? ''}\n`;
  const { haproxy, desired, signal } = runProcess(t, {
    path,
    log,
    connectUnix: () => connect({ path }),
    options: { port: 1, listen: ['mode tcp'], server_options: given.options ?? '' },
    instances: given.wanted,
    file: given.rows.length === 0 ? file.replace(/\tserver.*\n/, '') : file,
  });
  const replaceWorker = (): void => {
    pid += 1;
    haproxy.release();
  };
  return { haproxy, desired, sent, lines, replaceWorker, signal };
}

type Over = Awaited<ReturnType<typeof processOver>>;

/** Everything that makes synapse plan again: readings, plans of all services, and the same wish once more. */
async function planAgain({ haproxy, desired, signal }: Over): Promise<void> {
  const spec = desired.active as BackendSpec;
  const wanted = [{ name: id, server: desiredServers(desired, spec)?.get(id) }];
  for (let round = 0; round < 10; round++) {
    await haproxy.refresh({ withinMs: 1_000 }, signal);
    await haproxy.replan();
    await haproxy.change(desired, wanted);
  }
}

const mostTries = 3;

describe('a command that HAProxy never carries out', { concurrency: 8 }, () => {
  for (const [kind, given] of Object.entries(cases)) {
    for (const [what, answer] of Object.entries(answers)) {
      // HAProxy's state has no limits, and another weight than ours counts as set by hand: neither is sent again.
      if (/^set maxconn|weight$/.test(kind) && answer === '') continue;
      it(`is given up when HAProxy answers '${kind}' with ${what}`, async (t) => {
        const over = await processOver(t, given, answer);
        const { haproxy, sent, lines, replaceWorker } = over;
        const reasons = () => [...haproxy.reloadReasons.values()].flatMap(textsOf);
        await eventually(() => assert.match(reasons().join(), /HAProxy does not \w+ api\/i1_127.0.0.1:1 at run time/));
        await planAgain(over);
        assert.ok(sent.length >= 1 && sent.length <= mostTries, sent.join('\n'));
        for (let worker = 2; worker <= 5; worker++) {
          replaceWorker();
          await eventually(() => assert.equal(haproxy.workersSeen, worker));
          await eventually(() => assert.equal(haproxy.inSync && reasons().length + haproxy.stuck.length, 1));
          await planAgain(over);
        }
        assert.deepEqual([reasons(), haproxy.stuck.map(({ name }) => name)], [[], [id]]);
        assert.ok(sent.length <= mostTries + 4, sent.join('\n'));
        const warnings = lines.filter(({ level }) => level === 'warn' || level === 'error');
        assert.ok(warnings.length <= 10, `${warnings.length} warnings`);
      });
    }
  }
});
