import { isError, type Problem, type Schema, validate } from '../../../common/config/config.ts';
import { type JsonSchema, textLike } from '../../../common/config/json-values.ts';
import { formatProblem } from '../../../common/config/problem.ts';

/** `haproxy.reload_free_services`: services on these ports come and go without a reload. */
export interface ReloadFreeOptions {
  /** First and last port that HAProxy listens on from the start, with and without a service. */
  readonly ports: readonly [first: number, last: number];
  /** The lines that a service must have, and no others, to get one of the ports: HAProxy has them already. */
  readonly frontend: readonly string[];
  readonly backend: readonly string[];
  readonly listen: readonly string[];
}

/** Each port is a backend that HAProxy keeps: about 10 kB, and 10 µs of each load (measured on 2.6 and 3.2). */
const mostPorts = 1_000;

/** The schema of {@link ReloadFreeOptions}. */
export const reloadFreeSchema: Schema<ReloadFreeOptions> = {
  ports: {
    doc: 'FIRST-LAST, at most 1000 ports.',
    format: portRange,
    json: textLike('^[0-9]{1,5}-[0-9]{1,5}$'),
    default: null,
    type: 'FIRST-LAST',
  },
  frontend: { doc: "Lines of these services' frontend.", format: 'lines', default: [] },
  backend: { doc: "Lines of these services' backends.", format: 'lines', default: [] },
  listen: { doc: 'Lines that go where they belong, as those of services.', format: 'lines', default: [] },
};

/** What {@link reloadFree} takes. */
export const reloadFreeJson: JsonSchema = {
  anyOf: [
    {
      type: 'object',
      properties: Object.fromEntries(
        Object.entries(reloadFreeSchema).map(([key, { doc, json }]) => {
          return [key, { description: doc, anyOf: [json ?? { $ref: '#/definitions/lines' }] }];
        }),
      ),
      required: ['ports'],
      additionalProperties: false,
    },
    { enum: [false] },
  ],
};

/** The format of the option. @throws naming the problems */
export function reloadFree(value: unknown): ReloadFreeOptions | null {
  if (value === null || value === false) return null;
  const problems: Problem[] = [];
  const options = validate(reloadFreeSchema, value, { path: '', problems });
  const errors = problems.filter(isError);
  if (errors.length > 0) throw new Error(errors.map((problem) => formatProblem(problem)).join('; '));
  return options;
}

function portRange(value: unknown): readonly [number, number] {
  // Read already: the configuration of a test or a reload may pass through twice.
  const text = Array.isArray(value) ? value.join('-') : value;
  const [, first = '', last = ''] = typeof text === 'string' ? (/^([0-9]{1,5})-([0-9]{1,5})$/.exec(text) ?? []) : [];
  const range = [Number(first), Number(last)] as const;
  const fine = first !== '' && range[0] >= 1 && range[1] <= 65_535 && range[0] <= range[1];
  if (!fine || range[1] - range[0] >= mostPorts) {
    throw new Error(`must be two ports FIRST-LAST of at most ${mostPorts} ports`);
  }
  return range;
}
