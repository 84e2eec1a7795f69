import { type Fields, field, optional, type Shaped } from '../../../common/cli/json-shape.ts';

const countsShape = {
  fields: {
    up: field('number', "servers that take traffic and pass HAProxy's check"),
    unchecked: field('number', 'servers that take traffic and that HAProxy does not check'),
    down: field('number', "servers that get no traffic because HAProxy's check fails"),
    out: field(
      'number',
      'servers without new traffic for another reason: drain, maintenance, weight 0, an unknown address; not those on their way out',
    ),
  },
} satisfies Fields;

const trafficShape = {
  fields: {
    seconds: field('number', 'length of the time that was counted, at most a minute'),
    requests: field('number', 'HTTP requests; in TCP mode connections'),
    failed: field(
      'number',
      'requests that HAProxy could not have answered: no server could be reached, or its answer was cut off, late or invalid',
    ),
    server_errors: field('number', 'answers 500 to 599 that servers gave'),
    retries: field('number', 'connections to a server that failed and were tried again'),
    queued: field('number', 'requests that wait for a server now'),
  },
} satisfies Fields;

/** What HAProxy says of one service. */
export const healthShape = {
  fields: {
    servers: field(countsShape, 'its servers by whether they take traffic; of several HAProxy processes, the worst'),
    traffic: optional(trafficShape, 'what became of its requests in the last minute; left out before it was counted'),
  },
} satisfies Fields;

/** What HAProxy says of one service. */
export type ServiceHealth = Shaped<typeof healthShape>;

/** The servers of one service by whether they take traffic. */
export type ServerCounts = ServiceHealth['servers'];

/** What became of the requests of one service. */
export type Traffic = NonNullable<ServiceHealth['traffic']>;

/** Number of servers that take traffic. */
export function usableOf({ up, unchecked }: ServerCounts): number {
  return up + unchecked;
}

/** Number of all servers. */
export function totalOf({ up, unchecked, down, out }: ServerCounts): number {
  return up + unchecked + down + out;
}
