import { describeShape, formatSections } from '../../common/cli/describe.ts';
import { type Command, UsageError } from '../../common/cli/program.ts';
import { describeOptions } from '../describe.ts';
import { json } from './context.ts';

/** `nerve describe` */
export const describe: Command = {
  summary: 'Show the options of the configuration, or of one check.',
  usage: '[CHECK]',
  arguments: ['plugin'],
  options: json,
  json: describeShape,
  async run({ args, options, print }) {
    const sections = await describeOptions(args[0]).catch((error) => {
      throw new UsageError((error as Error).message);
    });
    print(options.json ? `${JSON.stringify(sections, null, 2)}\n` : formatSections(sections));
  },
};
