import { type AdminTarget, readState } from '../../common/admin/client.ts';
import type { DrainAnswer } from '../control.ts';
import type { NerveState } from '../status-shape.ts';

/** Commands that wait ask the running nerve this often. */
export const pollMs = 500;

/** The instances of a service in the running nerve, by the name of the service or of one instance. */
export async function instancesOf(admin: AdminTarget, service: string | undefined): Promise<NerveState['services']> {
  const { services } = (await readState(admin, { program: 'nerve' })) as NerveState;
  return services.filter((item) => item.service === service || item.name === service);
}

/** The instances that a change was made to, as they are in the running nerve now. */
export async function changedInstances(
  admin: AdminTarget,
  { service, instances }: DrainAnswer,
): Promise<NerveState['services']> {
  return (await instancesOf(admin, service)).filter((item) => instances.includes(item.instance));
}
