import { type AdminTarget, NotRunning } from '../../common/admin/client.ts';
import { numberOption } from '../../common/cli/number-option.ts';
import type { Command } from '../../common/cli/program.ts';
import { eventShape, type RecordedEvent } from '../report/event-shape.ts';
import { formatEvent } from '../report/event-text.ts';
import { noService } from '../report/state.ts';
import { ask, followEvents } from './ask.ts';
import { adminTarget, interrupted } from './context.ts';

const countRange = { least: 0 } as const;

/** `synapse events` */
export const events: Command = {
  summary: 'Show the latest events of the running synapse.',
  usage: '[SERVICE]',
  arguments: ['service'],
  options: {
    follow: { type: 'boolean', short: 'f', doc: 'then print each new event as it happens' },
    lines: { type: 'string', short: 'n', placeholder: 'COUNT', range: countRange, doc: 'only the last COUNT events' },
    json: { type: 'boolean', doc: 'print JSON, one event a line; its keys are in the manual' },
  },
  notes: [
    'synapse keeps its last 500 events in memory, until it ends; its log has them too. With SERVICE, prints only events ' +
      'about that service, and events about no service in particular, such as a reload.',
  ],
  json: eventShape,
  async run(context) {
    const { args, options, print, style } = context;
    const [service] = args;
    const count = options.lines === undefined ? undefined : numberOption('lines', options.lines, countRange);
    const show = (event: RecordedEvent): void =>
      print(options.json ? `${JSON.stringify(event)}\n` : formatEvent(event, style));
    const target = await adminTarget(context);
    const { events: known, last } = await ask(target, '/api/v1/events').catch((error) => {
      if (!(error instanceof NotRunning)) throw error;
      throw new Error(`${error.message}. It keeps events in memory only; its log has them too`);
    });
    const wanted = known.filter((event) => isAbout(event, service));
    if (service !== undefined && !wanted.some((event) => names(event, service))) await mustKnow(target, service);
    for (const event of wanted.slice(count === undefined ? 0 : Math.max(0, wanted.length - count))) show(event);
    if (!options.follow) return;
    for await (const event of followEvents(target, last, interrupted())) {
      if (isAbout(event, service)) show(event);
    }
  },
};

function isAbout(event: RecordedEvent, wanted: string | undefined): boolean {
  return wanted === undefined || names(event, wanted) || (!event.service && !event.services);
}

function names({ service, services = [] }: RecordedEvent, wanted: string): boolean {
  return service === wanted || services.includes(wanted);
}

/** Tells a service without events from one that does not exist. @throws naming the services, when there is no such one */
async function mustKnow(target: AdminTarget, service: string): Promise<void> {
  const { services } = await ask(target, '/api/v1/summary');
  if (Object.hasOwn(services, service)) return;
  throw new Error(noService(service, services));
}
