import { sourceSwitches } from '../../metrics.ts';
import type { Publish, Source, SourceContext, SourceStatus } from '../../source.ts';
import { Child } from './child.ts';
import type { Part } from './parts.ts';
import type { Resolver } from './resolver.ts';
import { MultiRun } from './run.ts';

/** One source made of several; a resolver decides which of them count. Each run has a resolver of its own. */
export function multiSource(parts: readonly Part[], makeResolver: () => Resolver, context: SourceContext): Source {
  const children = parts.map((part) => new Child(part, context));
  for (const { name: source } of parts) sourceSwitches.inc({ service: context.service, source }, 0);
  let run: MultiRun | undefined;

  const follow = async (publish: Publish, signal: AbortSignal): Promise<void> => {
    if (signal.aborted) return;
    run = new MultiRun(children, { resolver: makeResolver(), context, publish }, signal);
    await run.run();
  };
  return Object.assign(follow, {
    status: () => statusOf(children, run?.used ?? []),
    // Those of idle children too: they may be asked at any time.
    places: () =>
      children.flatMap((child) => {
        const isUnused = run?.used.includes(child) !== true;
        return child.places().map((place) => ({ ...place, isIdle: !child.isRunning, isUnused }));
      }),
  });
}

/** The source is as old as the oldest set that it uses, and has the reasons of all children that it uses. */
function statusOf(children: readonly Child[], used: readonly Child[]): SourceStatus {
  const statuses = children.map((child) => child.status(used.includes(child)));
  const parts = statuses.map(({ part }) => part);
  const counting = statuses.filter(({ part }) => part.role === 'used');
  const reasons = (used.length > 0 ? counting.map(({ part }) => part) : parts)
    .filter(({ reason }) => reason !== null)
    .map(({ name, reason }) => `${name}: ${reason}`);
  const ages = counting.flatMap(({ age }) => age ?? []);
  const waiting = used.length > 0 ? null : 'no source has answered yet';
  return {
    reason: reasons.length > 0 ? reasons.join('; ') : waiting,
    age: ages.length > 0 ? Math.max(...ages) : null,
    parts,
  };
}
