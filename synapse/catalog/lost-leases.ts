import { type OutputInstance, startsDown } from '../output.ts';
import type { Departure } from '../source.ts';
import {
  type Announced,
  AnnouncedIndex,
  type Announcement,
  addressOf,
  pseudoLease,
  recordsIn,
  withdrawnSince,
} from './announced.ts';
import {
  counts,
  endOf,
  failureText,
  isKept,
  type LostById,
  type LostInstance,
  newlyLost,
  says,
} from './lost-instance.ts';
import {
  type LookResult,
  type LostEffect,
  type LostEvent,
  type LostFacts,
  type LostState,
  type LostStep,
  nothingLost,
  waveMs,
} from './lost-state.ts';

/** From one look at a suspect to the next, in milliseconds; the edge adds jitter. */
export const suspectLookMs = 3_000;
/** Looks at a suspect that fail in a row before it is given up. */
const mostFailures = 2;

/**
 * Decides which lost instances are kept. A lease that is gone says that its announcer died or was cut off, not that its
 * instances are dead: those that answer are held, and when a wave of leases is lost, they are kept as suspects.
 */
export function reduceLost(state: LostState, event: LostEvent, facts: LostFacts): LostStep {
  if (event.type !== 'set' && state.services.size === 0) return { state, effects: [] };
  const step = new Step(state, event.now, facts);
  switch (event.type) {
    case 'set':
      step.takeSet(event);
      break;
    case 'looked':
      for (const result of event.looks) step.takeLook(result);
      break;
    default:
      step.touchAll();
  }
  return step.finish();
}

/** One step under way: maps are copied when they first change. */
class Step {
  readonly #before: LostState;
  readonly #now: number;
  readonly #facts: LostFacts;
  readonly #services: Map<string, LostById>;
  readonly #copied = new Map<string, Map<string, LostInstance>>();
  readonly #effects: LostEffect[] = [];
  readonly #touched = new Set<string>();
  /** The leases that were lost lately, once this step has added one. */
  #leasesAfter: Map<string, number> | undefined;

  constructor(state: LostState, now: number, facts: LostFacts) {
    this.#before = state;
    this.#now = now;
    this.#facts = facts;
    this.#services = new Map(state.services);
  }

  takeSet({ service, before, set }: LostEvent & { readonly type: 'set' }): void {
    this.#touched.add(service);
    const present = new Map(set.instances.map(({ id }, index) => [id, set.origins?.[index]?.key ?? null]));
    for (const [id, one] of this.#services.get(service) ?? []) {
      if (says(present, id, one.key)) this.#set(service, id, undefined);
      else if (says(set.withdrawn, id, one.key)) this.#end(service, one, 'it was withdrawn', 'withdrawn');
    }
    if (this.#services.size > 0) {
      const known = new Set(before?.instances);
      const news = [...recordsIn(service, set)].filter(({ instance }) => !known.has(instance));
      this.#compare(service, news);
    }
    if (this.#facts.guardOf(service) === undefined) return;
    for (const [index, instance] of (before?.instances ?? []).entries()) {
      const { id, state } = instance;
      const key = before?.origins?.[index]?.key ?? null;
      if (state === 'down' || says(present, id, key) || says(set.withdrawn, id, key)) continue;
      // A deeper key announced it too, and no longer does.
      if (this.#services.get(service)?.has(id)) continue;
      const lease = set.lost?.get(id) ?? before?.leases?.[index] ?? pseudoLease(instance);
      const sequence = before?.sequence?.[index];
      this.#lose(service, { ...newlyLost, instance, lease, key, sequence, at: this.#now });
    }
  }

  takeLook({ service, id, look }: LookResult): void {
    const known = this.#services.get(service)?.get(id);
    if (known === undefined) return;
    this.#touched.add(service);
    const isDown = look.server === 'down';
    const fails = look.answer !== 'answers' && !look.isBlind;
    const failures = fails ? known.failures + 1 : 0;
    const one = { ...known, look, lookedAt: this.#now, lookAt: null, failures };
    const isDead = isDown || failures >= (known.phase === 'suspect' ? mostFailures : 1);
    this.#set(service, id, one);
    if (one.phase === 'left') {
      if (!isDead && !look.isBlind && this.#isWave(service)) this.#set(service, id, this.#asReturned(one));
    } else if (isDead) this.#leave(service, one, isDown ? "HAProxy's own check says DOWN" : failureText(look));
    else if (one.phase === 'looking') this.#set(service, id, { ...one, phase: 'held' });
    else this.#set(service, id, { ...one, lookAt: this.#now + suspectLookMs });
  }

  touchAll(): void {
    for (const service of this.#services.keys()) this.#touched.add(service);
  }

  finish(): LostStep {
    for (const service of this.#touched) this.#settle(service);
    const isSame = this.#copied.size === 0 && this.#leasesAfter === undefined;
    if (isSame) return { state: this.#before, effects: this.#effects };
    for (const [service, lost] of this.#services) if (lost.size === 0) this.#services.delete(service);
    const leases = this.#services.size === 0 ? nothingLost.leases : this.#leases;
    return { state: { services: this.#services, leases }, effects: this.#effects };
  }

  #lose(service: string, lost: LostInstance): void {
    const { id } = lost.instance;
    this.#set(service, id, lost);
    if (!this.#leases.has(lost.lease)) this.#addLease(lost.lease);
    this.#compareOne(service, lost, this.#facts.announced());
    const now = this.#services.get(service)?.get(id);
    if (now?.phase === 'looking') this.#effects.push({ type: 'look', service, lost: now });
  }

  #addLease(lease: string): void {
    const wasWave = this.#isWaveOfAll();
    this.#leasesAfter ??= new Map(this.#lately());
    this.#leasesAfter.set(lease, this.#now);
    // Instances of other services, which are held or have left, are part of it now.
    if (!wasWave && this.#isWaveOfAll()) this.touchAll();
  }

  /** Compares new records of a service with all that is lost. */
  #compare(announced: string, news: readonly Announcement[]): void {
    if (news.length === 0) return;
    const index = new AnnouncedIndex();
    index.take(announced, news);
    for (const [service, lost] of this.#services) {
      for (const one of lost.values()) this.#compareOne(service, one, index);
    }
  }

  /** Ends a loss whose address another announcer has now; notes that its own announcer is back. */
  #compareOne(service: string, { instance, lease, key }: LostInstance, announced: Announced): void {
    const { byAddress, byName, withdrawn } = announced;
    const others = [...(byAddress.get(addressOf(instance)) ?? []), ...(byName.get(instance.name) ?? [])];
    for (const other of others) {
      const known = this.#services.get(service)?.get(instance.id);
      if (known === undefined) return;
      if (other.lease === undefined || other.lease === lease || other.lease === '0') continue;
      if (other.service === service && !counts(other.key, key)) continue;
      const sameName = instance.name !== '' && other.instance.name === instance.name;
      if (sameName && known.backAt === null && isKept(known))
        this.#set(service, instance.id, { ...known, backAt: this.#now });
      if (addressOf(other.instance) !== addressOf(instance)) continue;
      if (sameName && (other.service === service || this.#wasLost(other))) continue;
      if (other.service === service && other.instance.id === instance.id) continue;
      const by = other.instance.name === '' ? '' : ` by ${other.instance.name}`;
      this.#end(service, known, `its address is announced for ${other.service} now${by}`);
    }
    const known = this.#services.get(service)?.get(instance.id);
    const former = known && withdrawnSince(service, known, withdrawn);
    if (known && former !== undefined) this.#end(service, known, `its address was announced for ${former} since`);
  }

  /** One that was lost as well is back: its announcer has several services at that address. */
  #wasLost({ service, instance }: Announcement): boolean {
    return this.#before.services.get(service)?.has(instance.id) === true;
  }

  /** Moves the losses of one service on: a wave, the end of a time, looks that are due. */
  #settle(service: string): void {
    const guard = this.#facts.guardOf(service);
    const isKnown = this.#facts.setOf(service) !== undefined;
    if (guard !== undefined && !isKnown) return;
    const isWave = guard !== undefined && this.#isWave(service);
    const waveAt = isWave ? this.#newestLoss() : Number.NEGATIVE_INFINITY;
    for (const [id, one] of this.#services.get(service) ?? []) {
      if (guard === undefined) this.#end(service, one, 'the expiry guard is off');
      else if (one.phase === 'left') this.#settleLeft(service, one, waveAt);
      else if (one.phase === 'held' && isWave) this.#set(service, id, this.#asSuspect(one));
      else if (one.phase !== 'looking' && this.#now >= endOf(one, guard)) this.#giveUp(service, one);
      const now = this.#services.get(service)?.get(id);
      if (now === undefined || now.lookAt === null || this.#now < now.lookAt) continue;
      this.#set(service, id, { ...now, lookAt: null });
      this.#effects.push({ type: 'look', service, lost: now });
    }
    if (guard === undefined && this.#services.has(service)) this.#forget(service);
  }

  #settleLeft(service: string, one: LostInstance, waveAt: number): void {
    const { id } = one.instance;
    if (this.#now >= one.at + waveMs) this.#set(service, id, undefined);
    // It comes back only after it has answered. Each wave looks once.
    else if (waveAt > (one.lookedAt ?? Number.NEGATIVE_INFINITY)) {
      this.#set(service, id, { ...one, lookAt: this.#now, lookedAt: this.#now });
    }
  }

  /** Its time is over. A synapse that sees nothing does not empty a service. */
  #giveUp(service: string, one: LostInstance): void {
    const isEmptied = this.#facts.setOf(service)?.instances.some(({ state }) => state === 'up') !== true;
    if (one.phase === 'held' && one.look?.isBlind && isEmptied) {
      this.#set(service, one.instance.id, this.#asSuspect(one));
    } else if (one.phase === 'held')
      this.#leave(service, one, 'its lease is gone, and no wave of lost leases followed');
    else if (one.backAt !== null) this.#end(service, one, 'its nerve is back and does not announce it');
    else this.#end(service, one, 'its time as a suspect is over');
  }

  /** Outputs do not have it any more: where HAProxy checks it, its server starts DOWN. */
  #asReturned(one: LostInstance): LostInstance {
    const instance: OutputInstance = { ...one.instance, [startsDown]: true };
    return this.#asSuspect({ ...one, instance });
  }

  #asSuspect(one: LostInstance): LostInstance {
    return { ...one, phase: 'suspect', failures: 0, lookAt: this.#now + suspectLookMs };
  }

  /** Gives it up for good. */
  #end(service: string, lost: LostInstance, reason: string, how: Departure = 'expired'): void {
    if (isKept(lost)) {
      const answered = lost.look?.answer === 'answers' && lost.look.server !== 'down';
      this.#effects.push({ type: 'ended', service, lost, reason, answered, how });
    }
    this.#set(service, lost.instance.id, undefined);
  }

  /** Gives it up for now: it counts as part of a wave that follows, and comes back with it when it answers then. */
  #leave(service: string, lost: LostInstance, reason: string): void {
    this.#end(service, lost, reason);
    this.#set(service, lost.instance.id, { ...lost, phase: 'left', lookAt: null });
  }

  /** Two leases or more, and more than the guard's share of the service, or of all leases that this synapse sees. */
  #isWave(service: string): boolean {
    const guard = this.#facts.guardOf(service);
    if (guard === undefined) return false;
    const lost = [...(this.#services.get(service)?.values() ?? [])].filter(
      ({ at, phase }) => phase === 'suspect' || this.#now < at + waveMs,
    );
    if (lost.length === 0) return false;
    if (this.#isWaveOfAll(guard.share)) return true;
    if (new Set(lost.map(({ lease }) => lease)).size < 2) return false;
    const ids = new Set(lost.map(({ instance }) => instance.id));
    const others =
      this.#facts.setOf(service)?.instances.filter(({ id, state }) => state !== 'down' && !ids.has(id)) ?? [];
    return lost.length / (others.length + lost.length) > guard.share;
  }

  #isWaveOfAll(share = 0.5): boolean {
    const lately = this.#leasesAfter?.size ?? this.#lately().length;
    return lately >= 2 && lately / (this.#facts.announced().leases + lately) > share;
  }

  get #leases(): ReadonlyMap<string, number> {
    return this.#leasesAfter ?? this.#before.leases;
  }

  #lately(): readonly (readonly [string, number])[] {
    return [...this.#before.leases].filter(([, at]) => this.#now < at + waveMs);
  }

  #newestLoss(): number {
    return Math.max(Number.NEGATIVE_INFINITY, ...this.#leases.values());
  }

  #forget(service: string): void {
    for (const id of this.#services.get(service)?.keys() ?? []) this.#set(service, id, undefined);
  }

  #set(service: string, id: string, lost: LostInstance | undefined): void {
    let copy = this.#copied.get(service);
    if (copy === undefined) {
      copy = new Map(this.#services.get(service));
      this.#copied.set(service, copy);
      this.#services.set(service, copy);
    }
    if (lost === undefined) copy.delete(id);
    else copy.set(id, lost);
  }
}
