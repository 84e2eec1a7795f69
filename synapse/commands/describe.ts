import { describeSchema, describeShape, formatSections } from '../../common/cli/describe.ts';
import { type Command, UsageError } from '../../common/cli/program.ts';
import { describeOptions } from '../describe.ts';
import { haproxySchema } from '../haproxy/options/config.ts';
import { serviceHaproxySchema } from '../haproxy/options/service-config.ts';
import { json } from './context.ts';

/** `synapse describe` */
export const describe: Command = {
  summary: 'Show the options of the configuration, or of one source.',
  usage: '[SOURCE]',
  arguments: ['plugin'],
  options: json,
  json: describeShape,
  async run({ args, options, print }) {
    const output = [
      { title: 'services.NAME.haproxy', options: describeSchema(serviceHaproxySchema) },
      { title: 'haproxy', options: describeSchema(haproxySchema) },
    ];
    const sections = await describeOptions(args[0], output).catch((error) => {
      throw new UsageError((error as Error).message);
    });
    print(options.json ? `${JSON.stringify(sections, null, 2)}\n` : formatSections(sections));
  },
};
