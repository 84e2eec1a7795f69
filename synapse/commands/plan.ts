import { timeoutSignal } from '../../common/async/timeout.ts';
import { type Fields, field, type Shaped } from '../../common/cli/json-shape.ts';
import type { Command } from '../../common/cli/program.ts';
import type { Style } from '../../common/cli/table.ts';
import { plainReason } from '../../common/reason.ts';
import type { SocketPlan } from '../haproxy/preview.ts';
import { json, wait } from './context.ts';
import { previewNow } from './preview.ts';

/** Milliseconds for all that one HAProxy is asked. */
const timeout = 10_000;

/** `synapse plan --json`. */
export const planShape = {
  fields: {
    sockets: field(
      {
        list: {
          fields: {
            socket: field('text', "HAProxy's runtime API"),
            version: field({ orNull: 'text' }, 'of HAProxy; null when it cannot be asked'),
            reason: field({ orNull: 'text' }, 'why it cannot be asked'),
            commands: field({ list: 'text' }, 'in order'),
            reload: field({ list: 'text' }, 'why a reload is needed; empty when the commands suffice'),
          },
        },
      },
      'one for each HAProxy',
    ),
    unanswered: field({ by: 'SERVICE', of: 'text' }, 'services whose source did not answer, and why'),
    problems: field({ by: 'SERVICE', of: 'text' }, 'services that cannot be in HAProxy, and why'),
  },
} satisfies Fields;

type PlanReport = Shaped<typeof planShape>;
/** What would be done to one HAProxy, or why it cannot be asked. */
type SocketReport = PlanReport['sockets'][number];

export const plan: Command = {
  summary: 'Print what would be done to the running HAProxy now; do nothing.',
  options: {
    ...wait,
    ...json,
    'exit-code': { type: 'boolean', doc: 'exit with 4 when there is anything to do' },
  },
  notes: [
    'Asks the sources and HAProxy itself, not synapse. The lines that begin with # are for people, the others are the ' +
      'commands of the runtime API.',
  ],
  exits: {
    1: 'failed while running; also when a HAProxy cannot be asked',
    4: 'with --exit-code: there is something to do',
  },
  json: planShape,
  async run(context) {
    const { options, print, style } = context;
    const { sockets: paths, plan: planOf, unanswered, problems } = await previewNow(context);
    if (paths.length === 0) throw new Error('haproxy.do_socket is false: there is no running HAProxy to compare with');
    const sockets = await Promise.all(paths.map((socket) => ask(socket, planOf)));
    const report: PlanReport = {
      sockets,
      unanswered: Object.fromEntries(unanswered),
      problems: Object.fromEntries(problems),
    };
    print(options.json ? `${JSON.stringify(report, null, 2)}\n` : formatPlan(report, style));
    if (sockets.some(({ reason }) => reason !== null)) return 1;
    const toDo = sockets.some(({ commands, reload }) => commands.length > 0 || reload.length > 0);
    return toDo && options['exit-code'] ? 4 : 0;
  },
};

async function ask(
  socket: string,
  planOf: (socket: string, signal: AbortSignal) => Promise<SocketPlan>,
): Promise<SocketReport> {
  try {
    return { socket, reason: null, ...(await planOf(socket, timeoutSignal(timeout))) };
  } catch (error) {
    const reason = plainReason(error);
    return { socket, version: null, reason, commands: [], reload: [] };
  }
}

function formatPlan({ sockets, unanswered, problems }: PlanReport, style: Style): string {
  const lines = [
    ...Object.entries(unanswered).map(([name, reason]) =>
      style('warn', `# ${name}: its source did not answer, so what is known of it may be out of date: ${reason}`),
    ),
    ...Object.entries(problems).map(([name, reason]) => style('bad', `# ${name}: cannot be in HAProxy: ${reason}`)),
    ...sockets.flatMap(({ socket, version, reason, commands, reload }) => {
      if (reason !== null) return [style('bad', `# HAProxy at ${socket} cannot be asked: ${reason}`)];
      const todo = [...commands, ...reload.map((why) => style('warn', `# reload: ${why}`))];
      return [style('dim', `# HAProxy ${version} at ${socket}`), ...(todo.length > 0 ? todo : ['# nothing to do'])];
    }),
  ];
  return lines.map((line) => `${line}\n`).join('');
}
