import { onAbort } from '../../../common/async/abort.ts';
import { clock } from '../../../common/async/clock.ts';
import { readRecords } from '../../../common/config/formats.ts';
import { records } from '../../../common/config/json-values.ts';
import type { Instance } from '../../../common/instance.ts';
import type { Source, SourcePlugin } from '../../source.ts';

/** Options of `method: static`. */
export interface StaticOptions {
  readonly servers: readonly Instance[];
}

/** The source `static`. */
export const source: SourcePlugin<StaticOptions> = {
  description: "Has the instances that are listed here; without any, only the service's default_servers are used.",
  schema: {
    servers: {
      doc: 'Instances: {host, port, name, weight, labels, …}.',
      format: readRecords,
      json: records,
      type: 'list',
      default: [],
    },
  },
  create: ({ servers }) => staticSource(servers),
};

function staticSource(instances: readonly Instance[]): Source {
  return (publish, signal) =>
    new Promise((resolve) => {
      if (signal.aborted) return resolve();
      publish({ instances, rejected: [], seenAt: clock.now() });
      onAbort(signal, () => resolve());
    });
}
