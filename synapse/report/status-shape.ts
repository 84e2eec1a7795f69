import { type Fields, field, optional, type Shaped } from '../../common/cli/json-shape.ts';
import { serverShape } from '../haproxy/statistics/server-shape.ts';
import { haproxyShape } from '../haproxy/status-shape.ts';
import { type ProblemKind, problemKinds } from './problem-kinds.ts';
import { serviceShape } from './service-shape.ts';

const daemonStateShape = {
  fields: {
    running: field('boolean', 'true when it answered'),
    reason: field({ orNull: 'text' }, 'why it did not answer; null when it did'),
  },
} satisfies Fields;

/** Whether the daemon answered, and if not, why. */
export type DaemonState = Shaped<typeof daemonStateShape>;

/** The key that says whether the daemon answered. */
export const daemonField = field(
  daemonStateShape,
  'whether synapse answered; if not, all the rest was read without synapse',
);

const problemShape = {
  fields: {
    kind: field(
      { oneOf: Object.keys(problemKinds) as ProblemKind[] },
      'what kind of problem; synapse/problems.md has all',
    ),
    level: field({ oneOf: ['bad', 'warn'] }, 'bad: traffic suffers, or will; warn: an operator should look at it'),
    title: field('text', 'what is wrong'),
    reason: optional('text', 'why'),
    since: field(
      { orNull: 'text' },
      'since when synapse has seen it, ISO 8601; null when that is not known, such as while synapse is down',
    ),
    remedy: field('text', 'what to do'),
    command: field('text', 'a command to begin with'),
    subjects: field({ list: 'text' }, 'the services, servers or sockets that it is about; empty when it is about none'),
    manual: field('text', 'the page and the heading of the manual'),
  },
} satisfies Fields;

/** Something that is wrong, why, and what to do about it. */
export type Problem = Shaped<typeof problemShape>;

const readShape = {
  fields: {
    what: field('text', 'what was read'),
    found: field({ orNull: 'text' }, 'the result; null when it could not be read'),
    reason: field({ orNull: 'text' }, 'why it could not be read; null when it was'),
  },
} satisfies Fields;

/** One thing that was read without the daemon: the result, or why there is none. */
export type ReadDirectly = Shaped<typeof readShape>;

const stateFileShape = {
  fields: {
    path: field('text', 'path of the file'),
    reason: field({ orNull: 'text' }, 'why it cannot be written; null when it can'),
  },
} satisfies Fields;

const fileOutputShape = {
  fields: {
    directory: field('text', 'folder of the files'),
    reason: field({ orNull: 'text' }, 'why they may be out of date; null when they are not'),
  },
} satisfies Fields;

const fleetShape = {
  fields: {
    path: field('text', 'where the fleet is in etcd'),
    id: field('text', 'id of this synapse in it'),
    proxies: field(
      { orNull: 'number' },
      'synapses of the fleet when they were last counted; null while that is not known',
    ),
    requests: field('number', 'requests that concern this synapse and are open'),
    reason: field({ orNull: 'text' }, 'why this synapse takes no part; null while it does'),
    shared: field('boolean', 'true when another synapse has the same id'),
  },
} satisfies Fields;

/** `synapse status --json`. */
export const statusShape = {
  fields: {
    version: field('text', 'version of synapse'),
    reason: field({ orNull: 'text' }, 'why synapse is not ready; null when it is'),
    daemon: daemonField,
    problems: field({ list: problemShape }, 'problems, the worst first; empty when all is well'),
    read: optional({ list: readShape }, 'without a running synapse: what was read instead'),
    services: field({ by: 'SERVICE', of: serviceShape }, 'every service, in the order of the configuration'),
    haproxy: field({ orNull: haproxyShape }, "state of HAProxy's output; null before it starts"),
    config_refused: optional('text', 'why the configuration file cannot be used since the last SIGHUP'),
    file_output: optional(fileOutputShape, 'files for other readers'),
    fleet: optional(fleetShape, 'the part of this synapse in the fleet, unless it takes none'),
    state_file: optional(stateFileShape, 'the state file; left out without one, and while synapse is down'),
    since: optional(
      { by: 'PROBLEM', of: 'text' },
      'since when synapse has seen each problem, ISO 8601: by its kind and what it is about',
    ),
    servers: field(
      { orNull: { by: 'SERVICE', of: { list: serverShape } } },
      "HAProxy's own servers; null when HAProxy does not answer",
    ),
  },
} satisfies Fields;

/** What `synapse status` shows. */
export type StatusReport = Shaped<typeof statusShape>;

/** What synapse knows of its services and its outputs. */
export type SynapseState = Pick<
  StatusReport,
  'services' | 'haproxy' | 'config_refused' | 'file_output' | 'fleet' | 'state_file' | 'since'
>;

/** The answer of `/api/v1/state`. */
export type StateReport = SynapseState & Pick<StatusReport, 'version' | 'reason'>;
