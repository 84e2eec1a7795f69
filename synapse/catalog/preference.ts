import { joinPath, type Schema, type SectionContext, validate } from '../../common/config/config.ts';
import { type Instance, makeInstance } from '../../common/instance.ts';
import { labelOf } from './labels.ts';

/** Which instances come first. */
export interface Preference {
  readonly label: string;
  /** Instances whose label has it are local. */
  readonly value: string;
  /** What the others are while there are enough local ones. */
  readonly others: 'backup' | 'weight';
  /** The share of its weight that another one keeps, with `others: weight`; 0 to 1. */
  readonly weight: number;
  /** With a smaller share of local instances than this, 0 to 1, all are used alike. */
  readonly minimum: number;
}

/** `services.NAME.prefer`. */
export const preferSchema: Schema<Preference> = {
  label: { doc: 'The label that says where an instance is.', format: 'non-empty-string', default: null },
  value: { doc: 'What it says of local instances.', format: 'non-empty-string', default: null },
  others: {
    doc: 'What the other instances are: backup, used while no local one works; or weight, used less.',
    format: ['backup', 'weight'],
    default: 'backup',
  },
  weight: {
    doc: 'The share of its weight that another one keeps, with others: weight.',
    format: share,
    type: 'number',
    default: 0.1,
  },
  minimum: {
    doc: 'All instances are used alike when fewer than this share of them are local: a few must not carry the load of all.',
    format: share,
    type: 'number',
    default: 0.1,
  },
};

function share(value: unknown): number {
  const number = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof number === 'number' && number >= 0 && number <= 1) return number;
  throw new Error('must be a share from 0 to 1');
}

/** Reads it; undefined when it is not given or wrong. */
export function readPreference(value: unknown, at: SectionContext): Preference | undefined {
  if (value === undefined || value === null) return undefined;
  return validate(preferSchema, value, { path: joinPath(at.path, 'prefer'), problems: at.problems });
}

/**
 * Puts local instances first. Backups and instances that drain count for neither side: they do not carry load anyway.
 * Without a local one, or with too few, all stay as they are.
 */
export function preferLocal(instances: readonly Instance[], preference: Preference): readonly Instance[] {
  const carrying = instances.filter(({ state, backup }) => state === 'up' && !backup);
  const local = carrying.filter((instance) => isLocal(instance, preference)).length;
  if (local === 0 || local === carrying.length || local / carrying.length < preference.minimum) return instances;
  return instances.map((instance) => arranged(instance, preference));
}

/** True when the label says so. */
export function isLocal(instance: Instance, { label, value }: Preference): boolean {
  return labelOf(instance, label) === value;
}

/** So that a share of a weight can be told in whole numbers. */
const usualWeight = 100;

const arrangements = new WeakSet<Instance>();

/** How a preference works out at the moment. */
export interface PreferenceReport {
  readonly label: string;
  readonly value: string;
  /** How many instances are local. */
  readonly local: number;
  /** False: all are used alike, because there are too few local ones, or only local ones. */
  readonly in_force: boolean;
}

/** Says of arranged instances what was done to them. */
export function reportPreference(instances: readonly Instance[], preference: Preference): PreferenceReport {
  const { label, value } = preference;
  const local = instances.filter((instance) => isLocal(instance, preference)).length;
  return { label, value, local, in_force: instances.some((instance) => arrangements.has(instance)) };
}

const made = new WeakMap<Preference, WeakMap<Instance, Instance>>();

/** Made once for each instance, so that equal ones stay the same object. */
function arranged(instance: Instance, preference: Preference): Instance {
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
    // Not down to 0, which would mean no traffic at all.
    const less = own === 0 ? 0 : Math.max(1, Math.round(own * preference.weight));
    const change = preference.others === 'backup' ? { backup: true } : { weight: local ? own : less };
    result = makeInstance({ ...instance, ...change });
    known.set(instance, result);
    arrangements.add(result);
  }
  return result;
}
