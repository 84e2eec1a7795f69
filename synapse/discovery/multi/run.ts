import { onAbort } from '../../../common/async/abort.ts';
import { clock, type Timer } from '../../../common/async/clock.ts';
import { sourceSwitches } from '../../metrics.ts';
import type { InstanceSet, Publish, SourceContext } from '../../source.ts';
import type { Child } from './child.ts';
import { mergeParts } from './parts.ts';
import type { Decision, Resolver } from './resolver.ts';

/** A child that has published. */
type Answered = Child & { readonly set: InstanceSet };

/**
 * One run of a source made of several: starts and stops the children as the resolver asks, and publishes the sets of
 * those that count. A switch is one set in place of another, so that there is no moment without instances; a child that
 * is not needed any more is stopped only after it.
 */
export class MultiRun {
  readonly #children: readonly Child[];
  readonly #resolver: Resolver;
  readonly #context: SourceContext;
  readonly #publish: Publish;
  readonly #signal: AbortSignal;
  #used: readonly Child[] = [];
  #published: { readonly from: readonly InstanceSet[]; readonly set: InstanceSet } | undefined;
  /** Fires when the resolver wants to decide again although nothing happened. */
  #timer: Timer | undefined;
  #isDeciding = false;
  /** When the event was seen that awaits a decision; undefined without one. */
  #undecidedSince: number | undefined;
  /** Ends the run with an error. */
  #fail: (error: unknown) => void = () => {};

  constructor(
    children: readonly Child[],
    deps: { readonly resolver: Resolver; readonly context: SourceContext; readonly publish: Publish },
    signal: AbortSignal,
  ) {
    this.#children = children;
    this.#resolver = deps.resolver;
    this.#context = deps.context;
    this.#publish = deps.publish;
    this.#signal = signal;
  }

  /** The children whose instances count now. */
  get used(): readonly Child[] {
    return this.#used;
  }

  /** Lasts until the signal aborts. @throws what the resolver throws */
  async run(): Promise<void> {
    let release = (): void => {};
    try {
      await new Promise<void>((resolve, reject) => {
        this.#fail = reject;
        release = onAbort(this.#signal, () => resolve());
        this.#resolver.follow?.(() => this.#decide(clock.now()), this.#context, this.#signal);
        this.#decide(clock.now());
      });
    } finally {
      release();
      clock.clearTimeout(this.#timer);
      for (const child of this.#children) child.stop();
      await Promise.all(this.#children.map((child) => child.ended()));
      this.#used = [];
    }
  }

  /** Decides about an event that was seen at `seenAt`; an event that comes meanwhile waits for the next decision. */
  #decide(seenAt: number): void {
    this.#undecidedSince = seenAt;
    if (this.#isDeciding) return;
    this.#isDeciding = true;
    try {
      while (this.#undecidedSince !== undefined && !this.#signal.aborted) {
        const since = this.#undecidedSince;
        this.#undecidedSince = undefined;
        const views = this.#children.map(({ view }) => view);
        this.#carryOut(this.#resolver(views, clock.now()), since);
      }
    } catch (error) {
      // Not thrown to the caller: that is a child, which has done nothing wrong.
      this.#fail(error);
    } finally {
      this.#isDeciding = false;
    }
  }

  #carryOut({ use, ask, at }: Decision, seenAt: number): void {
    clock.clearTimeout(this.#timer);
    if (at !== undefined) {
      const delayMs = Math.max(1, Math.ceil(at - clock.now()));
      this.#timer = clock.setTimeout(() => this.#decide(clock.now()), delayMs);
    }
    if (use !== undefined) this.#use(use, seenAt);
    for (const child of this.#children) {
      if (ask.includes(child.name) || this.#used.includes(child)) {
        child.start((changeSeenAt) => this.#decide(changeSeenAt), this.#signal);
      } else {
        child.stop();
      }
    }
  }

  /** Publishes the instances of the named children, unless that is what was published last. */
  #use(names: readonly string[], seenAt: number): void {
    const next = names
      .map((name) => this.#children.find((child) => child.name === name))
      .filter((child): child is Answered => child?.set !== undefined);
    const from = next.map(({ set }) => set);
    const isSwitch = !sameItems(next, this.#used);
    const published = this.#published;
    if (next.length === 0 || (!isSwitch && published !== undefined && sameItems(from, published.from))) return;
    if (isSwitch) this.#report(next);
    this.#used = next;
    const withdrawn = new Map<string, string | null>();
    if (isSwitch) for (const { id } of published?.set.instances ?? []) withdrawn.set(id, null);
    for (const child of this.#children) for (const [id, key] of child.takeWithdrawn()) withdrawn.set(id, key);
    const merged = mergeParts(next, withdrawn, seenAt);
    // Configuration in a registry counts also while another source has the instances.
    const document = [...from, ...this.#children.map(({ set }) => set)].find((set) => set?.published)?.published;
    const set = document === undefined ? merged : { ...merged, published: document };
    this.#published = { from, set };
    this.#publish(set);
  }

  #report(next: readonly Child[]): void {
    const { service, log } = this.#context;
    const uses = namesOf(next);
    if (this.#used.length === 0) log.info('the first source is in use', { uses });
    else {
      log.warn('another source is in use', { uses, before: namesOf(this.#used) });
      sourceSwitches.inc({ service, source: uses });
    }
  }
}

function namesOf(children: readonly Child[]): string {
  return children.map(({ name }) => name).join(', ');
}

function sameItems<T>(a: readonly T[], b: readonly T[]): boolean {
  return a.length === b.length && a.every((item, index) => item === b[index]);
}
