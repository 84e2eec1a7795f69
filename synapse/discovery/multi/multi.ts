import { clock, type Timer } from '../../../common/async/clock.ts';
import { supervise } from '../../../common/async/supervise.ts';
import { sourceSwitches } from '../../metrics.ts';
import type { InstanceSet, PartStatus, Publish, Source, SourceContext, SourceStatus } from '../../source.ts';
import { mergeParts, narrowPart, type Part, usableIn } from './parts.ts';
import type { ChildView, Decision, Resolver } from './resolver.ts';

interface Child {
  readonly part: Part;
  readonly source: Source;
  run: AbortController | undefined;
  /** When its last run has ended. */
  ended: Promise<void>;
  set: InstanceSet | undefined;
  usable: number;
  lackingSince: number | null;
  failure: string | null;
  /** Gone in good order since the last set that was published. */
  withdrawn: Set<string>;
}

/**
 * One source made of several. The resolver says whose instances count; each switch is one set in place of another, so
 * that there is no moment between them, and who is not needed any more is stopped only after it.
 */
export function multiSource(parts: readonly Part[], makeResolver: () => Resolver, context: SourceContext): Source {
  const { service, log } = context;
  const children = parts.map((part): Child => {
    const own = { ...context, log: log.child({ source: part.name }) };
    const source = part.discovery.create(own);
    return { part, source, run: undefined, ended: Promise.resolve(), ...forgotten() };
  });
  let used: readonly Child[] = [];
  for (const { name: source } of parts) sourceSwitches.inc({ service, source }, 0);

  const follow = async (publish: Publish, signal: AbortSignal): Promise<void> => {
    if (signal.aborted) return;
    const resolver = makeResolver();
    let published: { readonly from: readonly InstanceSet[]; readonly set: InstanceSet } | undefined;
    let timer: Timer | undefined;
    let fail: (error: unknown) => void = () => {};
    let deciding = false;
    let pending: number | undefined; // when what asks for another decision was seen

    const decide = (seenAt: number): void => {
      pending = seenAt;
      if (deciding) return;
      deciding = true;
      try {
        while (pending !== undefined && !signal.aborted) {
          const at = pending;
          pending = undefined;
          act(resolver(children.map(viewOf), clock.now()), at);
        }
      } catch (error) {
        // Not for the source whose event this is.
        fail(error);
      } finally {
        deciding = false;
      }
    };

    const act = ({ use, ask, at }: Decision, seenAt: number): void => {
      clock.clearTimeout(timer);
      if (at !== undefined) {
        timer = clock.setTimeout(() => decide(clock.now()), Math.max(1, Math.ceil(at - clock.now())));
      }
      if (use !== undefined) hand(use, seenAt);
      for (const child of children) {
        const wanted = ask.includes(child.part.name) || used.includes(child);
        if (wanted && child.run === undefined) start(child);
        else if (!wanted && child.run !== undefined) stop(child);
      }
    };

    const hand = (use: readonly string[], seenAt: number): void => {
      const next = use
        .map((name) => children.find(({ part }) => part.name === name))
        .filter((child) => child?.set !== undefined) as readonly (Child & { readonly set: InstanceSet })[];
      const from = next.map(({ set }) => set);
      const switched = !sameItems(next, used);
      if (next.length === 0 || (!switched && published !== undefined && sameItems(from, published.from))) return;
      if (switched) announce(next);
      used = next;
      const withdrawn = new Set(switched ? published?.set.instances.map(({ id }) => id) : []);
      for (const child of children) {
        for (const id of child.withdrawn) withdrawn.add(id);
        child.withdrawn = new Set();
      }
      for (const set of from) for (const { id } of set.instances) withdrawn.delete(id);
      const merged = mergeParts(
        next.map(({ part, set }) => ({ name: part.name, set })),
        withdrawn,
        seenAt,
      );
      // Configuration in a registry counts also while another source has the instances.
      const document = [...from, ...children.map((child) => child.set)].find((one) => one?.published)?.published;
      const set = document === undefined ? merged : { ...merged, published: document };
      published = { from, set };
      publish(set);
    };

    const announce = (next: readonly Child[]): void => {
      const names = next.map(({ part }) => part.name).join(', ');
      if (used.length === 0) log.info('the first source in use', { uses: names });
      else {
        log.warn('another source is in use', { uses: names, before: used.map(({ part }) => part.name).join(', ') });
        sourceSwitches.inc({ service, source: names });
      }
    };

    const start = (child: Child): void => {
      const run = new AbortController();
      child.run = run;
      child.lackingSince = clock.now();
      const take = (set: InstanceSet): void => {
        if (run.signal.aborted || signal.aborted) return;
        child.failure = null;
        child.set = narrowPart(child.part, set);
        child.usable = usableIn(child.set);
        child.lackingSince = child.usable > 0 ? null : (child.lackingSince ?? clock.now());
        for (const id of child.set.withdrawn ?? []) child.withdrawn.add(id);
        decide(set.seenAt);
      };
      const onState = (reason: string | null): void => {
        child.failure = reason;
      };
      const what = `source ${child.part.name} of ${service}`;
      child.ended = child.ended.then(() =>
        supervise((stop) => child.source(take, stop), { what, log, onState }, run.signal),
      );
    };

    try {
      await new Promise<void>((resolve, reject) => {
        fail = reject;
        signal.addEventListener('abort', () => resolve(), { once: true });
        resolver.follow?.(() => decide(clock.now()), context, signal);
        decide(clock.now());
      });
    } finally {
      clock.clearTimeout(timer);
      for (const child of children) if (child.run !== undefined) stop(child);
      await Promise.all(children.map(({ ended }) => ended));
      used = [];
    }
  };

  return Object.assign(follow, { status: () => statusOf(children, used) });
}

function forgotten(): Pick<Child, 'set' | 'usable' | 'lackingSince' | 'failure' | 'withdrawn'> {
  return { set: undefined, usable: 0, lackingSince: null, failure: null, withdrawn: new Set() };
}

function stop(child: Child): void {
  child.run?.abort();
  child.run = undefined;
  // When it is asked again it must answer again.
  Object.assign(child, forgotten());
}

function viewOf({ part, set, usable, lackingSince }: Child): ChildView {
  return { name: part.name, answered: set !== undefined, instances: usable, lackingSince };
}

function statusOf(children: readonly Child[], used: readonly Child[]): SourceStatus {
  const ages: number[] = [];
  const reasons: string[] = [];
  const parts = children.map((child): PartStatus => {
    const { part, source, run, set, usable, failure } = child;
    const isUsed = used.includes(child);
    const status = run === undefined ? undefined : source.status?.();
    const waiting = run === undefined || set !== undefined ? null : 'has not answered yet';
    const reason = run === undefined ? null : (failure ?? status?.reason ?? waiting);
    if (isUsed && reason !== null) reasons.push(`${part.name}: ${reason}`);
    if (isUsed && status?.age != null) ages.push(status.age);
    return {
      name: part.name,
      method: part.discovery.method,
      role: isUsed ? 'used' : run === undefined ? 'idle' : 'asked',
      instances: set === undefined ? null : usable,
      reason,
    };
  });
  if (used.length === 0) {
    for (const { name, reason } of parts) if (reason !== null) reasons.push(`${name}: ${reason}`);
  }
  const reason = reasons.length > 0 ? reasons.join('; ') : used.length > 0 ? null : 'no source has answered yet';
  return { reason, age: ages.length > 0 ? Math.max(...ages) : null, parts };
}

function sameItems<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
