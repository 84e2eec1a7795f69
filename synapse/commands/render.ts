import type { Command } from '../../common/cli/program.ts';
import { wait } from './context.ts';
import { previewNow } from './preview.ts';

/** `synapse render` */
export const render: Command = {
  summary: 'Print the haproxy.cfg that synapse would write now.',
  options: wait,
  async run(context) {
    const { text } = await previewNow(context);
    context.printExact(text);
  },
};
