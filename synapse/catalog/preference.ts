import { joinPath, type Schema, type SectionContext, validate } from '../../common/config/config.ts';
import { share as shareJson } from '../../common/config/json-values.ts';
import type { OutputInstance } from '../output.ts';
import { labelOf } from './labels.ts';

/** Which instances are local, and what the other ones are. */
export interface Preference {
  readonly label: string;
  /** The value of that label on local instances. */
  readonly value: string;
  /** What the other instances are while there are enough local ones. */
  readonly others: 'backup' | 'weight';
  /** The share of its weight that another instance keeps with `others: weight`, 0 to 1. */
  readonly weight: number;
  /** With a smaller share of local instances, 0 to 1, all instances are used equally. */
  readonly minimum: number;
}

/** `services.NAME.prefer`. */
export const preferSchema: Schema<Preference> = {
  label: { doc: 'The label that says where an instance is.', format: 'non-empty-string', default: null },
  value: { doc: 'The value of that label on local instances.', format: 'non-empty-string', default: null },
  others: {
    doc: 'What the other instances are: backup, used while no local one works; or weight, used less.',
    format: ['backup', 'weight'],
    default: 'backup',
  },
  weight: {
    doc: 'The share of its weight that another instance keeps with others: weight.',
    format: share,
    json: shareJson,
    type: 'number',
    default: 0.1,
  },
  minimum: {
    doc: 'With a smaller share of local instances, all are used equally, so that a few instances do not carry the whole load.',
    format: share,
    json: shareJson,
    type: 'number',
    default: 0.1,
  },
};

function share(value: unknown): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number === 'number' && number >= 0 && number <= 1) return number;
  throw new Error('must be a share from 0 to 1');
}

/** Reads the section; undefined when it is missing or wrong. */
export function readPreference(value: unknown, at: SectionContext): Preference | undefined {
  if (value === undefined || value === null) return undefined;
  return validate(preferSchema, value, { path: joinPath(at.path, 'prefer'), problems: at.problems });
}

/**
 * Puts local instances first. Backups and instances that drain are not counted, because they do not carry load.
 * Without local instances, or with too few of them, nothing changes.
 */
export function preferLocal(instances: readonly OutputInstance[], preference: Preference): readonly OutputInstance[] {
  const carrying = instances.filter(({ state, backup }) => state === 'up' && !backup);
  const local = carrying.filter((instance) => isLocal(instance, preference)).length;
  if (local === 0 || local === carrying.length || local / carrying.length < preference.minimum) return instances;
  return instances.map((instance) => arranged(instance, preference));
}

/** True when the instance's label has the preferred value. */
export function isLocal(instance: OutputInstance, { label, value }: Preference): boolean {
  return labelOf(instance, label) === value;
}

/** The weight of an instance without one: large enough for a share of it to be a whole number. */
const usualWeight = 100;

const arrangements = new WeakSet<OutputInstance>();

/** The effect of a preference at this moment. */
export interface PreferenceReport {
  readonly label: string;
  readonly value: string;
  /** The number of local instances. */
  readonly local: number;
  /** False when all instances are used equally: too few of them are local, or all of them. */
  readonly in_force: boolean;
}

/** The effect of a preference on the instances that {@link preferLocal} returned. */
export function reportPreference(instances: readonly OutputInstance[], preference: Preference): PreferenceReport {
  const { label, value } = preference;
  const local = instances.filter((instance) => isLocal(instance, preference)).length;
  return { label, value, local, in_force: instances.some((instance) => arrangements.has(instance)) };
}

const made = new WeakMap<Preference, WeakMap<OutputInstance, OutputInstance>>();

/** Made once for each instance, so that equal instances stay the same object. */
function arranged(instance: OutputInstance, preference: Preference): OutputInstance {
  const local = isLocal(instance, preference);
  if (preference.others === 'backup' && (local || instance.backup)) return instance;
  let known = made.get(preference);
  if (known === undefined) {
    known = new WeakMap();
    made.set(preference, known);
  }
  let result = known.get(instance);
  if (result === undefined) {
    const own = instance.weight ?? usualWeight;
    // A weight of 0 would mean no traffic at all.
    const less = own === 0 ? 0 : Math.max(1, Math.round(own * preference.weight));
    const change = preference.others === 'backup' ? { backup: true } : { weight: local ? own : less };
    // Copied as it is: its id may have an address in place of its host name.
    result = Object.freeze({ ...instance, ...change });
    known.set(instance, result);
    arrangements.add(result);
  }
  return result;
}
