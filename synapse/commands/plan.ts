import { timeoutSignal } from '../../common/async/timeout.ts';
import { type Fields, field, type Shaped } from '../../common/cli/json-shape.ts';
import type { Command } from '../../common/cli/program.ts';
import type { Style } from '../../common/cli/table.ts';
import { plainReason } from '../../common/reason.ts';
import type { SocketPlan } from '../haproxy/preview.ts';
import { json, wait } from './context.ts';
import { previewNow } from './preview.ts';

/** Milliseconds for all questions to one HAProxy. */
const timeoutMs = 10_000;

/** `synapse plan --json`. */
export const planShape = {
  fields: {
    sockets: field(
      {
        list: {
          fields: {
            socket: field('text', "socket of HAProxy's runtime API"),
            version: field({ orNull: 'text' }, 'version of HAProxy; null when it does not answer'),
            reason: field({ orNull: 'text' }, 'why it does not answer; null when it does'),
            commands: field({ list: 'text' }, 'runtime commands, in order'),
            reload: field({ list: 'text' }, 'why a reload is needed; empty when the commands suffice'),
          },
        },
      },
      'one for each HAProxy',
    ),
    unanswered: field({ by: 'SERVICE', of: 'text' }, 'services whose source did not answer, and why'),
    problems: field({ by: 'SERVICE', of: 'text' }, 'services that HAProxy cannot have as configured, and why'),
  },
} satisfies Fields;

type PlanReport = Shaped<typeof planShape>;
/** The commands and reload reasons for one HAProxy, or why it does not answer. */
type SocketReport = PlanReport['sockets'][number];

/** `synapse plan` */
export const plan: Command = {
  summary: 'Print what synapse would do to the running HAProxy now; change nothing.',
  options: {
    ...wait,
    ...json,
    'exit-code': { type: 'boolean', doc: 'exit with 4 when there is something to do' },
  },
  notes: [
    'Asks the sources and HAProxy, not synapse. Lines that start with # are for people; the other lines are commands of ' +
      "HAProxy's runtime API.",
  ],
  exits: {
    1: 'failed while running; also when a HAProxy does not answer',
    4: 'with --exit-code: there is something to do',
  },
  json: planShape,
  async run(context) {
    const { options, print, style } = context;
    const { sockets: paths, plan: planOf, unanswered, problems } = await previewNow(context);
    if (paths.length === 0)
      throw new Error('haproxy.do_socket is false, so there is no running HAProxy to compare with');
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
    return { socket, reason: null, ...(await planOf(socket, timeoutSignal(timeoutMs))) };
  } catch (error) {
    const reason = plainReason(error);
    return { socket, version: null, reason, commands: [], reload: [] };
  }
}

function formatPlan({ sockets, unanswered, problems }: PlanReport, style: Style): string {
  const lines = [
    ...Object.entries(unanswered).map(([name, reason]) =>
      style('warn', `# ${name}: its source did not answer, so its instances may be out of date: ${reason}`),
    ),
    ...Object.entries(problems).map(([name, reason]) =>
      style('bad', `# HAProxy cannot take the configuration of ${name}: ${reason}`),
    ),
    ...sockets.flatMap(({ socket, version, reason, commands, reload }) => {
      if (reason !== null) return [style('bad', `# HAProxy at ${socket} does not answer: ${reason}`)];
      const todo = [...commands, ...reload.map((why) => style('warn', `# reload: ${why}`))];
      return [style('dim', `# HAProxy ${version} at ${socket}`), ...(todo.length > 0 ? todo : ['# nothing to do'])];
    }),
  ];
  return lines.map((line) => `${line}\n`).join('');
}
