import { clock } from '../../../../common/async/clock.ts';
import { reasonOf } from '../../../../common/daemon/log.ts';
import type { ChildView, Decision, Resolver, ResolverPlugin } from '../resolver.ts';
import { createS3Object, formatS3Address, readS3Address, type S3Address } from './s3_toggle/object.ts';
import { pick, readWeights } from './s3_toggle/weights.ts';

/** Options of `resolver: {method: s3_toggle}`. */
export interface S3ToggleOptions {
  readonly s3_url: S3Address;
  readonly s3_polling_interval_seconds: number;
}

/** How long to wait for S3 before the first source is used, milliseconds. */
const patience = 3_000;

export const resolver: ResolverPlugin<S3ToggleOptions> = {
  description:
    'Uses one source, drawn by weights that an object in S3 holds ({primary: 90, secondary: 10}), and draws again when they change.',
  schema: {
    s3_url: { doc: 'The object, s3://BUCKET/KEY.', format: readS3Address, default: null },
    s3_polling_interval_seconds: {
      doc: 'How often to read it.',
      format: 'positive-duration',
      default: null,
    },
  },
  create({ s3_url: address, s3_polling_interval_seconds: interval }, names) {
    let chosen: string | undefined;
    let used: string | undefined;
    let started: number | undefined;
    let seen: string | undefined;

    const decide = (children: readonly ChildView[], now: number): Decision => {
      started ??= now;
      const patient = chosen === undefined && now < started + patience;
      const name = chosen ?? used ?? (names.includes('primary') ? 'primary' : (names[0] as string));
      const child = children.find((other) => other.name === name);
      // One that has nothing yet does not take over from one that is in use.
      const ready = child?.answered === true && (child.instances > 0 || used === undefined || used === name);
      if (patient || !ready) {
        return { use: undefined, ask: [name], ...(patient && { at: started + patience }) };
      }
      used = name;
      return { use: [name], ask: [name] };
    };
    const follow: Resolver['follow'] = (again, { log, shared }, signal) => {
      const key = `s3 ${JSON.stringify([address, interval])}`;
      const object = shared(key, (end, own) => createS3Object(address, { interval, log: own }, end));
      const onText = (text: string): void => {
        // Drawn once for each change of the text: not at each look.
        if (text === seen) return;
        seen = text;
        try {
          const name = pick(readWeights(text, names), clock.random());
          if (name === undefined)
            log.warn('no source has a weight, the one in use stays', { object: formatS3Address(address) });
          else if (name !== chosen) log.info('the weights have chosen a source', { chosen: name });
          chosen = name ?? chosen;
        } catch (error) {
          log.warn('the weights cannot be used, the source in use stays', {
            object: formatS3Address(address),
            reason: reasonOf(error),
          });
        }
        again();
      };
      object.follow(onText, signal);
    };
    return Object.assign(decide, { follow });
  },
};
