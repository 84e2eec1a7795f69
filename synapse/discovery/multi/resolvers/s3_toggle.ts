import { clock } from '../../../../common/async/clock.ts';
import { textLike } from '../../../../common/config/json-values.ts';
import { type Log, reasonOf } from '../../../../common/daemon/log.ts';
import type { ChildView, Decision, Resolver, ResolverPlugin } from '../resolver.ts';
import { formatS3Address, readS3Address, type S3Address, S3Poller } from './s3_toggle/object.ts';
import { drawSource, readWeights } from './s3_toggle/weights.ts';

/** Options of `resolver: {method: s3_toggle}`. */
export interface S3ToggleOptions {
  readonly s3_url: S3Address;
  readonly s3_polling_interval_seconds: number;
}

/** How long the first decision waits for S3 before the first source is used, milliseconds. */
const firstWaitMs = 3_000;

/** The resolver `s3_toggle`. */
export const resolver: ResolverPlugin<S3ToggleOptions> = {
  description:
    'Uses one source, drawn by weights that an object in S3 holds ({primary: 90, secondary: 10}), and draws again when they change.',
  schema: {
    s3_url: {
      doc: 'The object, s3://BUCKET/KEY.',
      format: readS3Address,
      json: textLike('^s3://.+/.+$'),
      default: null,
    },
    s3_polling_interval_seconds: {
      doc: 'How often to read it.',
      format: 'positive-duration',
      default: null,
    },
  },
  create({ s3_url: address, s3_polling_interval_seconds: intervalMs }, names) {
    const toggle = new Toggle(address, names);
    const follow: Resolver['follow'] = (again, { log, shared }, signal) => {
      const key = `s3 ${JSON.stringify([address, intervalMs])}`;
      const poller = shared(key, (end, ownLog) => {
        const made = new S3Poller(address, { intervalMs, log: ownLog });
        void made.run(end);
        return made;
      });
      poller.follow((text) => {
        if (toggle.take(text, log)) again();
      }, signal);
    };
    return Object.assign((children: readonly ChildView[], now: number) => toggle.decide(children, now), { follow });
  },
};

/** Draws a source by the weights in the object, and switches to it once it has instances. */
class Toggle {
  readonly #object: string;
  readonly #names: readonly string[];
  #text: string | undefined;
  /** The source that the weights chose; undefined before the first weights. */
  #drawn: string | undefined;
  #used: string | undefined;
  /** When the first decision was made, milliseconds of `clock.now()`. */
  #startedAt: number | undefined;

  constructor(address: S3Address, names: readonly string[]) {
    this.#object = formatS3Address(address);
    this.#names = names;
  }

  decide(children: readonly ChildView[], now: number): Decision {
    this.#startedAt ??= now;
    const waitsUntil = this.#startedAt + firstWaitMs;
    const isWaiting = this.#drawn === undefined && now < waitsUntil;
    const name = this.#drawn ?? this.#used ?? this.#first();
    const child = children.find((other) => other.name === name);
    // A source without instances does not take over from the one in use.
    const isReady = child?.answered === true && (child.instances > 0 || (this.#used ?? name) === name);
    if (isWaiting || !isReady) return { use: undefined, ask: [name], ...(isWaiting && { at: waitsUntil }) };
    this.#used = name;
    return { use: [name], ask: [name] };
  }

  /** Draws once for each change of the text, not at each poll. @returns whether the text has changed */
  take(text: string, log: Log): boolean {
    if (text === this.#text) return false;
    this.#text = text;
    const object = this.#object;
    try {
      const name = drawSource(readWeights(text, this.#names), clock.random());
      if (name === undefined) log.warn('no source has a weight, the source in use stays', { object });
      else if (name !== this.#drawn) log.info('the weights have chosen a source', { chosen: name });
      this.#drawn = name ?? this.#drawn;
    } catch (error) {
      log.warn('the weights cannot be used, the source in use stays', { object, reason: reasonOf(error) });
    }
    return true;
  }

  #first(): string {
    return this.#names.includes('primary') ? 'primary' : (this.#names[0] as string);
  }
}
