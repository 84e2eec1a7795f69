import type { Command, CommandContext } from '../../common/command/program.ts';
import { changeDrain } from '../draincommand.ts';
import { adminTarget } from './context.ts';

export const drain: Command = {
  summary: 'Let a service finish what it has, without new connections.',
  usage: 'SERVICE [INSTANCE]',
  arguments: ['service', 'server'],
  options: { wait: { type: 'boolean', doc: 'return when the drain time (drain_time) is over' } },
  notes: ['Asks the running nerve, over its control socket. It stays drained, over restarts too, until undrain.'],
  run: (context) => drainOrUndrain(context, 'drain'),
};

export const undrain: Command = {
  summary: 'Give a drained service new connections again.',
  usage: 'SERVICE [INSTANCE]',
  arguments: ['service', 'server'],
  options: { wait: { type: 'boolean', doc: 'first wait until its checks pass, and in the end until etcd shows it' } },
  run: (context) => drainOrUndrain(context, 'undrain'),
};

async function drainOrUndrain(context: CommandContext, action: 'drain' | 'undrain'): Promise<void> {
  const { args, options, print, log } = context;
  const [service, instance] = args;
  const to = { admin: await adminTarget(context), print, warn: (text: string) => log.warn(text) };
  await changeDrain(action, { service, instance, wait: options.wait === true }, to);
}
