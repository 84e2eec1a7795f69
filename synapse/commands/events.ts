import { type AdminTarget, NotRunning } from '../../common/admin/client.ts';
import { type Command, UsageError } from '../../common/cli/program.ts';
import { eventShape, type RecordedEvent } from '../report/event-shape.ts';
import { formatEvent } from '../report/events.ts';
import { noService } from '../report/state.ts';
import { ask, followEvents } from './ask.ts';
import { adminTarget, interrupted } from './context.ts';

export const events: Command = {
  summary: 'Show what happened last in the running synapse.',
  usage: '[SERVICE]',
  arguments: ['service'],
  options: {
    follow: { type: 'boolean', short: 'f', doc: 'go on with what happens from now on' },
    lines: { type: 'string', short: 'n', placeholder: 'COUNT', doc: 'only the last COUNT events' },
    json: { type: 'boolean', doc: 'print JSON, one event a line; its keys are in the manual' },
  },
  notes: [
    'The last 500 events are in the memory of synapse, and end with it; its log has them too. With SERVICE, only those ' +
      'about it, and those about no service in particular, such as a reload.',
  ],
  json: eventShape,
  async run(context) {
    const { args, options, print, style } = context;
    const [service] = args;
    const count = options.lines === undefined ? Number.POSITIVE_INFINITY : Number(options.lines);
    if (!(count >= 0)) throw new UsageError(`--lines ${options.lines}: must be a number`);
    const show = (event: RecordedEvent): void =>
      print(options.json ? `${JSON.stringify(event)}\n` : formatEvent(event, style));
    const target = await adminTarget(context);
    const { events: known, last } = await ask(target, '/api/v1/events').catch((error) => {
      if (!(error instanceof NotRunning)) throw error;
      throw new Error(`${error.message}; events are in its memory only, and its log has them too`);
    });
    const wanted = known.filter((event) => isAbout(event, service));
    if (service !== undefined && !wanted.some((event) => names(event, service))) await mustKnow(target, service);
    for (const event of count === Number.POSITIVE_INFINITY ? wanted : wanted.slice(wanted.length - count)) show(event);
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

/** No event names it: nothing may have happened to it, or there is no such service. @throws saying which ones there are */
async function mustKnow(target: AdminTarget, service: string): Promise<void> {
  const { services } = await ask(target, '/api/v1/summary');
  if (Object.hasOwn(services, service)) return;
  throw new Error(noService(service, services));
}
