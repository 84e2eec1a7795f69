import { hostname } from 'node:os';
import type { Problem, Schema } from '../config/config.ts';
import { validate } from '../config/config.ts';
import { textLike } from '../config/json-values.ts';
import { isFleetId } from './keys.ts';

/** Where the proxies and the questions to them are, in the etcd of the section `etcd`. */
export interface FleetConfig {
  /** Without a slash at its end. */
  readonly path: string;
}

/** The section of synapse, which has a name in the fleet. */
export interface FleetMemberConfig extends FleetConfig {
  /** Each synapse of the fleet has another one. */
  readonly id: string;
}

const path = {
  doc: 'folder of keys in etcd with which commands ask all synapses whether they have applied a change',
  format: readPath,
  json: textLike('^/[A-Za-z0-9_.:@%+=~/-]+$'),
  type: 'path',
  default: '/smartstack/fleet',
} as const;

/** The section `fleet` of nerve. */
export const fleetSchema: Schema<FleetConfig> = { path };

/** The section `fleet` of synapse. */
export const fleetMemberSchema: Schema<{ readonly path: string; readonly id?: string }> = {
  path,
  id: {
    doc: 'name of this synapse in the fleet, different on each host; by default the host name',
    format: readId,
    json: { type: 'string', minLength: 1, maxLength: 128 },
    type: 'string',
    default: undefined,
  },
};

/** Reads the section `fleet` of nerve; false turns it off. */
export function readFleet(value: unknown, problems: Problem[]): FleetConfig | false {
  return isOff(value) ? false : validate(fleetSchema, value, { path: 'fleet', problems });
}

/** Reads the section `fleet` of synapse; false turns it off. */
export function readFleetMember(
  value: unknown,
  problems: Problem[],
  host: string = hostname(),
): FleetMemberConfig | false {
  if (isOff(value)) return false;
  const { path, id = host } = validate(fleetMemberSchema, value, { path: 'fleet', problems });
  // A host name that is no id must not stop a synapse that never asked for a fleet.
  return isFleetId(id) ? { path, id } : false;
}

function isOff(value: unknown): boolean {
  return value === false || value === 'false';
}

function readPath(value: unknown): string {
  if (typeof value === 'string' && pathPattern.test(value)) return value.replace(/\/+$/, '');
  throw new Error('must be a path such as /smartstack/fleet, of A-Z a-z 0-9 _ . : @ % + = ~ - and /');
}

const pathPattern = /^(?=.{2,512}$)(?:\/[A-Za-z0-9_.:@%+=~-]+)+\/?$/;

function readId(value: unknown): string {
  if (isFleetId(value)) return value;
  throw new Error('must be a string of up to 128 characters, without control characters');
}
