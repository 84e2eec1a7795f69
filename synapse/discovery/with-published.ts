import { clock, type Timer } from '../../common/async/clock.ts';
import { reasonOf } from '../../common/daemon/log.ts';
import { type Published, readDocument } from '../../common/published.ts';
import type { InstanceSet, Publish, SourceContext } from '../source.ts';

/** How long the first set waits for the document beside it, milliseconds: it may be denied, or the registry slow. */
const documentWait = 2_000;

/** Joins the sets of one service with the configuration that the registry holds beside the instances. */
export interface WithDocument {
  /** Begins a run of the source. What was known of the document before is in force until it is read again. */
  start(publish: Publish): WithDocumentRun;
}

export interface WithDocumentRun {
  publish(set: InstanceSet): void;
  /** What is there now, undefined: nothing; `version` differs whenever it was written. */
  take(text: Buffer | undefined, version: string | undefined, seenAt: number): void;
  /** No wait for the first document is left behind. */
  end(): void;
}

/** The JSON object at `where`; of a broken one, why it is. Without `where`, sets go out as they are. */
export function withDocument(where: string | undefined, context: Pick<SourceContext, 'rejected'>): WithDocument {
  let document: Published | undefined;
  let lastVersion: string | undefined;

  const read = (at: string, text: Buffer | undefined): Published | undefined => {
    try {
      return text === undefined ? undefined : readDocument(at, text);
    } catch (error) {
      const reason = reasonOf(error);
      context.rejected({ where: at, reason });
      return { where: at, value: {}, broken: reason };
    }
  };
  return {
    start(publish) {
      let known = where === undefined;
      let last: InstanceSet | undefined;
      let timer: Timer | undefined;
      const hand = (set: InstanceSet): void => publish(document === undefined ? set : { ...set, published: document });
      /** Who went in good order in sets that nobody was handed. */
      let withdrawn = new Set<string>();
      const answered = (seenAt: number): void => {
        clock.clearTimeout(timer);
        known = true;
        if (last !== undefined) hand({ ...last, withdrawn, seenAt });
        withdrawn = new Set();
      };
      return {
        publish(set) {
          last = set;
          if (known) return hand(set);
          for (const id of set.withdrawn ?? []) withdrawn.add(id);
          timer ??= clock.setTimeout(() => answered(clock.now()), documentWait);
        },
        take(text, version, seenAt) {
          if (where === undefined || (known && version === lastVersion)) return;
          if (version !== lastVersion) document = read(where, text);
          lastVersion = version;
          answered(seenAt);
        },
        end: () => clock.clearTimeout(timer),
      };
    },
  };
}
