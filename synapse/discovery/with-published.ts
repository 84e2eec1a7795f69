import { clock, type Timer } from '../../common/async/clock.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import { type Published, readDocument } from '../../common/published.ts';
import type { InstanceSet, OptionWarning, Publish, SourceContext } from '../source.ts';

/** Milliseconds that the first set waits for the published configuration: reading it may be denied, or slow. */
const publishedWaitMs = 2_000;

/** Where nerve announces services unless it is told otherwise, and where its user in `etcd-cluster/access.yaml` may write. */
const announcedAt = '/nerve/services/';

/**
 * A warning about a published configuration that lies where instances are announced: whoever may announce an instance may
 * then change the service. `instancesAt`: the path below which the service has its instances.
 */
export function warnOfPublishedPath(
  { where, instancesAt }: { readonly where: string | undefined; readonly instancesAt: string },
  service: string,
): readonly OptionWarning[] {
  const parent = `${instancesAt.slice(0, instancesAt.lastIndexOf('/'))}/`;
  const folder = [announcedAt, ...(parent === '/' ? [] : [parent]), `${instancesAt}/`].find((each) =>
    where?.startsWith(each),
  );
  if (folder === undefined) return [];
  const message =
    `lies below ${folder}, where nerve may write: each host with a nerve can change this service on all hosts; ` +
    `move the document to a path that only operators may write, such as /smartstack/config/${service}`;
  return [{ option: 'generator_config_path', message }];
}

/**
 * Adds the configuration that a registry holds beside the instances to the sets of one service. It remembers that
 * configuration over all runs of the source.
 */
export class WithPublished {
  readonly #where: string | undefined;
  readonly #context: Pick<SourceContext, 'rejected'>;
  #published: Published | undefined;
  #version: string | undefined;

  /** `where` is the key of the JSON object; undefined when there is none: then sets are published as they are. */
  constructor(where: string | undefined, context: Pick<SourceContext, 'rejected'>) {
    this.#where = where;
    this.#context = context;
  }

  /** Begins a run of the source. The last known configuration is in force until it is read again. */
  start(publish: Publish): WithPublishedRun {
    return new WithPublishedRun(this, publish);
  }

  /** Whether a run has to wait for the configuration. */
  get isExpected(): boolean {
    return this.#where !== undefined;
  }

  /** The set with the configuration that is known now. */
  join(set: InstanceSet): InstanceSet {
    return this.#published === undefined ? set : { ...set, published: this.#published };
  }

  /** Reads another version of the configuration. Returns false when that version is known already. */
  read(text: Buffer | undefined, version: string | undefined): boolean {
    if (version === this.#version) return false;
    this.#version = version;
    this.#published = text === undefined || this.#where === undefined ? undefined : this.#parse(this.#where, text);
    return true;
  }

  #parse(where: string, text: Buffer): Published {
    try {
      return readDocument(where, text);
    } catch (error) {
      const reason = reasonOf(error);
      this.#context.rejected({ where, reason });
      return { where, value: {}, broken: reason };
    }
  }
}

/** One run of a source. Its first set waits a short time for the published configuration. */
export class WithPublishedRun {
  readonly #joined: WithPublished;
  readonly #publish: Publish;
  #phase: 'waiting' | 'joined';
  #last: InstanceSet | undefined;
  /** Instances that were withdrawn in sets that are not published yet. */
  #withdrawn = new Map<string, string | null>();
  #timer: Timer | undefined;

  constructor(joined: WithPublished, publish: Publish) {
    this.#joined = joined;
    this.#publish = publish;
    this.#phase = joined.isExpected ? 'waiting' : 'joined';
  }

  publish(set: InstanceSet): void {
    this.#last = set;
    if (this.#phase === 'joined') {
      this.#publish(this.#joined.join(set));
      return;
    }
    for (const [id, key] of set.withdrawn ?? []) this.#withdrawn.set(id, key);
    this.#timer ??= clock.setTimeout(() => this.#publishLast(clock.now()), publishedWaitMs);
  }

  /**
   * Takes the published configuration; undefined when there is none. `version` differs each time it is written, and is
   * undefined when there is none.
   */
  take(text: Buffer | undefined, version: string | undefined, seenAt: number): void {
    if (!this.#joined.isExpected) return;
    const isNew = this.#joined.read(text, version);
    if (isNew || this.#phase === 'waiting') this.#publishLast(seenAt);
  }

  /** Stops waiting. */
  end(): void {
    clock.clearTimeout(this.#timer);
  }

  #publishLast(seenAt: number): void {
    clock.clearTimeout(this.#timer);
    this.#phase = 'joined';
    const withdrawn = this.#withdrawn;
    this.#withdrawn = new Map();
    if (this.#last !== undefined) this.#publish(this.#joined.join({ ...this.#last, withdrawn, seenAt }));
  }
}
