import { type Instance, makeInstance } from '../../common/instance.ts';

/** Instances with another port, made once for each instance, so that equal ones stay the same object. */
const overridden = new WeakMap<Instance, Instance>();
/** The way back, to what the source knows them by. */
const originals = new WeakMap<Instance, Instance>();

/** The same instance at another port. */
export function withPort(instance: Instance, port: number): Instance {
  if (instance.port === port) return instance;
  const known = overridden.get(instance);
  if (known?.port === port) return known;
  const moved = makeInstance({ ...instance, port });
  overridden.set(instance, moved);
  originals.set(moved, instance);
  return moved;
}

/** What the source knows an instance by. */
export function withoutOverride(instance: Instance): Instance {
  return originals.get(instance) ?? instance;
}
