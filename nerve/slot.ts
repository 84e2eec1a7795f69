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
