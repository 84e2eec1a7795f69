import { fetch } from 'undici';
import { parseBoundedJson } from '../../../common/bounded-json.ts';
import { compareText } from '../../../common/compare.ts';
import { isObject } from '../../../common/config/formats.ts';
import { textLike } from '../../../common/config/json-values.ts';
import { takeInstance } from '../../../common/instance.ts';
import { httpAgent } from '../../../common/net/http-agent.ts';
import { quote } from '../../../common/wording.ts';
import type { Source, SourceContext, SourcePlugin } from '../../source.ts';
import { InstanceSetBuilder, SetPublisher } from '../instance-set-builder.ts';
import { Poll } from '../poll.ts';

/** Options of `method: marathon`. */
export interface MarathonOptions {
  readonly marathon_api_url: string;
  readonly application_name: string;
  readonly marathon_api_path: string;
  readonly port_index: number;
  readonly check_interval: number;
  readonly timeout: number;
}

/** The source `marathon`. */
export const source: SourcePlugin<MarathonOptions> = {
  description: 'Finds the started tasks of a Marathon application.',
  schema: {
    marathon_api_url: {
      doc: 'URL of Marathon.',
      format: readUrl,
      json: textLike('^https?://[^/]'),
      type: 'url',
      default: null,
    },
    application_name: { doc: 'Name of the application.', format: 'non-empty-string', default: null },
    marathon_api_path: {
      doc: 'Path of the list of tasks; %{app} is replaced by the name of the application.',
      format: 'non-empty-string',
      default: '/v2/apps/%{app}/tasks',
    },
    port_index: { doc: "Which of a task's ports to use, counted from 0.", format: 'natural-number', default: 0 },
    check_interval: { doc: 'Time between polls.', format: 'positive-duration', default: 10_000 },
    timeout: { doc: 'Longest time for one poll.', format: 'positive-duration', default: 10_000 },
  },
  example: { marathon_api_url: 'http://127.0.0.1:9', application_name: 'api' },
  create,
};

/** Enough for some ten thousand tasks. */
const maxBytes = 64 << 20;

function create(options: MarathonOptions, context: SourceContext): Source {
  const { check_interval: interval, timeout, application_name: app, port_index: index } = options;
  const path = options.marathon_api_path.replaceAll('%{app}', app.split('/').map(encodeURIComponent).join('/'));
  const url = new URL(path, options.marathon_api_url);
  const publisher = new SetPublisher(context);
  let publishFound: (found: InstanceSetBuilder) => void = () => {};

  const readAll = async (signal: AbortSignal): Promise<undefined> => {
    publishFound(readTasks(await getJson(url, signal), index));
  };
  const poll = new Poll(readAll, { what: 'Marathon', intervalMs: interval, timeoutMs: timeout, log: context.log });

  const follow: Source = (publish, signal) => {
    publishFound = publisher.start(publish);
    return poll.run(signal);
  };
  return Object.assign(follow, { status: () => poll.status() });
}

/** @throws when the answer is not a list of tasks, which is not the same as an empty list */
function readTasks(answer: unknown, index: number): InstanceSetBuilder {
  const tasks = isObject(answer) ? answer.tasks : undefined;
  if (!Array.isArray(tasks)) throw new Error('the answer holds no list of tasks');
  const found = new InstanceSetBuilder();
  const started: Readonly<Record<string, unknown>>[] = [];
  for (const task of tasks) {
    if (!isObject(task)) found.reject('a task', `${quote(task)}: must be an object with host and ports`);
    // A task that has not started yet has no start time.
    else if (task.startedAt !== null && task.startedAt !== undefined) started.push(task);
  }
  for (const task of started.toSorted((a, b) => compareText(sortKeyOf(a), sortKeyOf(b)))) {
    const { id, host, ports, startedAt } = task;
    const make = () => {
      const port: unknown = Array.isArray(ports) ? ports[index] : undefined;
      if (port === undefined) throw new Error(`it has no port with index ${index}`);
      return takeInstance({ name: host, host, port });
    };
    const appeared = typeof startedAt === 'string' ? Date.parse(startedAt) || 0 : 0;
    found.add(`task ${typeof id === 'string' ? id : quote(host)}`, make, appeared);
  }
  return found;
}

/** Sorting by host and ports makes the order independent of Marathon's. */
function sortKeyOf({ host, ports }: Readonly<Record<string, unknown>>): string {
  return JSON.stringify([host, ports]);
}

async function getJson(url: URL, signal: AbortSignal): Promise<unknown> {
  const response = await fetch(url, { signal, headers: { accept: 'application/json' }, dispatcher: httpAgent });
  if (!response.ok || response.body === null) {
    await response.body?.cancel();
    throw new Error(`${url.href}: status ${response.status}`);
  }
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of response.body) {
    size += chunk.length;
    if (size > maxBytes) throw new Error(`${url.href}: more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return parseBoundedJson(Buffer.concat(chunks).toString());
}

function readUrl(value: unknown): string {
  if (typeof value === 'string' && /^https?:\/\/[^/@]/.test(value) && URL.canParse(value)) return value;
  throw new Error('must be an http:// or https:// URL');
}
