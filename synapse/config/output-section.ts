import type { Problem } from '../../common/config/config.ts';

/** Who reads the section of an output, such as `haproxy`: at the top level, and in each service. */
export interface OutputSection<Top, Config> {
  readonly key: string;
  /** Keys, as for `readConfig`, below which `${…}` is left alone. */
  readonly raw: readonly string[];
  readTop(value: unknown, at: At): Top;
  readService(value: unknown, at: At): Config;
  /** SmartStack has the state file among HAProxy's options; it counts where the top level names none. */
  olderStateFile(top: Top): StateFile | undefined;
}

/** Where the last good catalog is kept, and for how many milliseconds what it says is good. */
export interface StateFile {
  readonly path: string;
  readonly ttl: number;
}

/** Where a section stands and where its problems go. */
export interface At {
  readonly path: string;
  readonly problems: Problem[];
}
