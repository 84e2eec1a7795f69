import type { Instance } from '../../common/instance.ts';
import { withFields } from '../output.ts';

/** Instances with another port, made once for each instance, so that equal instances stay the same object. */
const overridden = new WeakMap<Instance, Instance>();
/** From an instance with another port, or with marks, back to the instance of the source. */
const originals = new WeakMap<Instance, Instance>();

/** The same instance at another port. */
export function withPort(instance: Instance, port: number): Instance {
  if (instance.port === port) return instance;
  const known = overridden.get(instance);
  if (known?.port === port) return known;
  const moved = withFields(instance, { port });
  overridden.set(instance, moved);
  return replaceInstance(instance, moved);
}

/** Notes that an instance stands for another one. @returns it */
export function replaceInstance<Made extends Instance>(instance: Instance, made: Made): Made {
  originals.set(made, withoutOverride(instance));
  return made;
}

/** The instance as its source found it. */
export function withoutOverride(instance: Instance): Instance {
  return originals.get(instance) ?? instance;
}
