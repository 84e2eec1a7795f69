import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, it, type TestContext } from 'node:test';
import { SystemdNotifier } from '../../../common/daemon/systemd-notifier.ts';
import { eventually } from '../../support/eventually.ts';
import { recordingLog } from '../../support/process/recording-log.ts';
import { tempFolder } from '../../support/temp-folder.ts';

/** Node.js has no datagram sockets of this kind; perl is part of every Debian. One datagram after the other. */
const receive = `use Socket; $| = 1; socket(S, AF_UNIX, SOCK_DGRAM, 0) or die; bind(S, pack_sockaddr_un($ARGV[0])) or die;
  while (defined(recv(S, $text, 65536, 0))) { print "$text\\n" }`;

/** Stands for systemd: what is sent to its datagram socket. */
async function systemd(t: TestContext) {
  const path = join(await tempFolder(t), 'notify.sock');
  const receiver = spawn('perl', ['-e', receive, path], { stdio: ['ignore', 'pipe', 'inherit'] });
  let received = '';
  receiver.stdout.on('data', (chunk) => {
    received += chunk;
  });
  t.after(async () => {
    receiver.kill();
    await once(receiver, 'close');
  });
  await eventually(() => assert.ok(existsSync(path)));
  return { path, received: () => received };
}

function start(t: TestContext, env: NodeJS.ProcessEnv) {
  const end = new AbortController();
  t.after(() => end.abort());
  const { log, lines } = recordingLog();
  const all = { PATH: process.env.PATH, ...env };
  const notifier = new SystemdNotifier({ env: all, status: () => 'all\nis well' }, { log });
  void notifier.feedWatchdog(end.signal);
  return { notifier, lines, end };
}

describe('the systemd notifier', () => {
  it('sends ready, reloading, ready and stopping in this order', async (t) => {
    const { path, received } = await systemd(t);
    const { notifier, lines } = start(t, { NOTIFY_SOCKET: path });
    notifier.ready('ready: 2 services');
    notifier.reloading();
    notifier.ready('ready: 3 services');
    notifier.stopping(20_000);
    await notifier.flushed();
    await eventually(() => assert.match(received(), /STOPPING=1/));
    const said: readonly string[] =
      received().match(/^(?:READY|RELOADING|STOPPING|STATUS|MAINPID|EXTEND_TIMEOUT_USEC)=.*/gm) ?? [];
    assert.deepEqual(
      said.filter((line) => !line.startsWith('MAINPID')),
      [
        'READY=1',
        'STATUS=ready: 2 services',
        'RELOADING=1',
        'READY=1',
        'STATUS=ready: 3 services',
        'STOPPING=1',
        'EXTEND_TIMEOUT_USEC=20000000',
      ],
    );
    assert.match(received(), /MONOTONIC_USEC=\d+/);
    assert.ok(said.includes(`MAINPID=${process.pid}`));
    assert.deepEqual(lines, []);
  });

  it('feeds the watchdog again and again until its signal aborts', async (t) => {
    const { path, received } = await systemd(t);
    const { end, notifier } = start(t, { NOTIFY_SOCKET: path, WATCHDOG_USEC: '90000' });
    const meals = (): number => received().split('WATCHDOG=1').length - 1;
    await eventually(() => assert.ok(meals() >= 3));
    assert.match(received(), /STATUS=all is well/);
    end.abort();
    await notifier.flushed();
  });

  it('does not feed a watchdog that is meant for another process', async (t) => {
    const { path, received } = await systemd(t);
    const { notifier } = start(t, { NOTIFY_SOCKET: path, WATCHDOG_USEC: '90000', WATCHDOG_PID: '1' });
    notifier.ready('x');
    await notifier.flushed();
    await eventually(() => assert.match(received(), /READY=1/));
    assert.doesNotMatch(received(), /WATCHDOG/);
  });

  it('does nothing when systemd does not ask for notifications', async (t) => {
    const { notifier, lines } = start(t, { PATH: '/nowhere', WATCHDOG_USEC: '90000' });
    notifier.ready('x');
    await notifier.flushed();
    assert.deepEqual(lines, []);
  });

  it('logs once that systemd cannot be notified', async (t) => {
    const { notifier, lines } = start(t, { PATH: '/nowhere', NOTIFY_SOCKET: '/nowhere/socket' });
    notifier.ready('x');
    notifier.reloading();
    await notifier.flushed();
    assert.deepEqual(
      lines.map(({ level, message }) => [level, message]),
      [['warn', 'systemd cannot be notified']],
    );
  });
});
