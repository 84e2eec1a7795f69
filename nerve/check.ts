import type { Schema } from '../common/config/config.ts';
import type { Host } from '../common/host.ts';
import { builtFolder } from '../common/place.ts';
import { loadPlugin, type PluginFolder, pluginNames } from '../common/plugin.ts';
import type { Check, CheckTarget } from './user-check.ts';

// Users' files import these from a file that needs nothing else.
export type { Check, CheckTarget, UserCheck } from './user-check.ts';

/** What a check may use of the machine beside the network. */
export interface CheckDeps {
  readonly host: Pick<Host, 'exec'>;
}

/**
 * A kind of check: one file in `nerve/checks/`, named after its `type`, that exports it as `check`.
 * nerve itself handles the options that every check has (`type`, `name`, `timeout`, `rise`, `fall`, …).
 */
export interface CheckPlugin<Options> {
  /** One sentence for `nerve describe`. */
  readonly description: string;
  readonly schema: Schema<Options>;
  /** The deadline of a probe in ms, where options of the check's own allow more than `timeoutMs`. */
  readonly deadline?: (options: Options, timeoutMs: number) => number;
  /**
   * Prepares the probe; does no I/O. On each call the returned function opens what it needs, closes it before it
   * settles, and gives up as soon as its signal aborts (nerve aborts it at the deadline).
   * @throws when the options contradict each other; the message becomes a configuration problem
   */
  create(options: Options, target: CheckTarget, deps: CheckDeps): Check;
}

/** A check of a type that is known by its name only. */
export type AnyCheckPlugin = CheckPlugin<Record<string, unknown>>;

/** Where nerve finds the kinds of checks. */
export interface CheckTypes {
  /** All types, sorted. */
  names(): Promise<readonly string[]>;
  /** @throws when there is no such type; the message lists the known ones */
  load(type: string): Promise<AnyCheckPlugin>;
}

/** The folder of nerve's own checks. */
export const checkFolder: PluginFolder = {
  kind: 'check type',
  url: new URL('nerve/checks/', builtFolder),
  symbol: 'check',
};

/** nerve's own checks. */
export const ownCheckTypes: CheckTypes = {
  names: () => pluginNames(checkFolder),
  load: (type) => loadPlugin(checkFolder, type),
};
