import { BadRequest } from '../common/admin/admin.ts';
import type { Announcement } from './announcement.ts';
import type { OpenRegistry } from './registry.ts';
import type { Service } from './service.ts';

/** A service at work: its checks, and what the registry shows of it. */
export interface Slot {
  readonly service: Service;
  readonly registry: OpenRegistry;
  readonly announcement: Announcement;
  readonly controller: AbortController;
  /** Whom it takes over from: the old one speaks until the first verdict, and stays visible until the new one is. */
  replaces: Slot | undefined;
}

/** A slot and all it was to replace. */
export function chain(slot: Slot): readonly Slot[] {
  return slot.replaces === undefined ? [slot] : [slot, ...chain(slot.replaces)];
}

export function abortAll(slot: Slot): void {
  for (const { controller } of chain(slot)) controller.abort();
}

/**
 * The slots of a service's instances, or of one of them.
 * @throws {BadRequest} when there is no such service or instance
 */
export function chooseSlots(slots: readonly Slot[], name: string, instanceId?: string): readonly Slot[] {
  const own = slots.filter(({ service: { config } }) => config.service === name || config.name === name);
  if (own.length === 0) {
    const known = new Set(slots.map(({ service }) => service.config.service));
    throw new BadRequest(`no service ${JSON.stringify(name)} here; there are ${[...known].join(', ')}`);
  }
  if (instanceId === undefined) return own;
  const chosen = own.filter(({ service }) => service.config.instance.id === instanceId);
  if (chosen.length > 0) return chosen;
  const ids = own.map(({ service }) => service.config.instance.id);
  const there = ids.length === 1 ? 'there is' : 'there are';
  throw new BadRequest(`no instance ${JSON.stringify(instanceId)} of ${name} here; ${there} ${ids.join(', ')}`);
}
